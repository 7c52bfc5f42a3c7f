#!/usr/bin/python3 -B
"""F1, F2 without any list of keys: every 32-byte window, at all alignments, of the server's memory in a core, of
the store's file, the anchor, the key file, the certificates' keys and the logs is tried as a key on every box that
was ever written to the store, and so is what the key file opens in any slot of the anchor; of what opens every window
is tried again, until nothing more opens. A small vault, since that is many tries. The control is the
same search before the erasure: it opens everything there is.
"""
import crash
import lab
import wire
from bed import held, main, need, same, step
from exhaust_steps import Search, create, moment, pieces

PEOPLE = 3


def run(bin):
    lab.check_build(bin)
    with crash.Bench(bin) as b:
        b.record()
        b.init()
        b.start()
        people = [create(b, i) for i in range(PEOPLE)]
        for p in (people[0], people[2], people[1]):	# whose keys were used last is to be erased
            b.cli('subject', 'get', p)
        step('the control: before the erasure everything opens')
        before = moment(b, 'before')
        found = Search(b, pieces(b, before), 'core-before')
        need(before.root in found.keys, 'the root key is in no window')
        need({x.data for x in before.boxes} <= found.opened, 'boxes of now that do not open')
        victim = wire.subject_id(people[1])
        gone = {x.data for x in before.boxes if x.owner == victim}
        need(len(gone) >= 3, 'the person has no boxes')

        step('after it')
        b.cli('subject', 'erase', people[1], '--yes')
        after = moment(b, 'after')
        boxes = pieces(b, after)
        found = Search(b, boxes, 'core-after')
        same(len(found.opened & gone), 0, 'F2: boxes of the erased that open')
        now = {x.data for x in after.boxes}
        same(found.opened & now, now, 'control: boxes of now that open')
        same([p.kind for p in boxes if p.data in found.opened - now], [], 'F2: boxes of before that open')
        held(1, found.what)
        held(2, 'whatever opens, and what is in it, leads to no box of the erased: no list of keys was asked')
        same(b.stop(), 0, 'exit status')


main(run)
