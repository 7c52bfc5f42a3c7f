/*
 * The switch (K1 to K7), recovery with its preamble, a reader, and a world that fails: docs/DESIGN.md, section 5.
 * One subject X is there from the beginning and dies with the first switch; everybody else has to stay.
 *
 * Between any two steps the power may fail or the process be killed, and calls may fail in the ways that were
 * seen: a flush that fails though everything or half of it arrived, one that succeeds and lost it, a commit that
 * fails and happened, that is shown by the page cache and is not on the medium, or the other way round.
 *
 * All pages of the store are readable for ever. So X opens if and only if somebody has a root key of an epoch in
 * which X lived: from a slot of the anchor in any state that the disk may be in, or from memory.
 *
 * -DBROKEN=n is a variant that has to fail:
 *   1 K4 before K3                          6 recovery without its preamble
 *   2 K5 before K4                          7 recovery does not overwrite the other slot
 *   3 the answer before K5                  8 the process goes on after a failed commit
 *   4 the answer before K6                  9 K3 does not read back
 *   5 K6 does not wait for readers         10 K5 does not read back
 */
#ifndef BROKEN
#define BROKEN 0
#endif
#ifndef FAULTS
#define FAULTS 2		/* calls that fail */
#endif
#ifndef CRASHES
#define CRASHES 2		/* power cuts and kills, together */
#endif
#define FIRST 1			/* the epoch at the beginning */
#ifndef LAST
#define LAST 3			/* no switch beyond it */
#endif
#define NONE 0			/* no valid slot: random bytes, or half of something */

mtype = { PREAMBLE, TABLE, ERASE, ERASED, SERVING, K3, K3_FLUSH, K4, K4_EARLY, K5, K5_FLUSH, K6, K7, AGAIN,
	AGAIN_FLUSH, REFUSED };
mtype at = PREAMBLE;

/* The anchor: what its slots hold on the medium, and what a write that is not flushed may have put there. */
byte slot[2], coming[2];
bool pending[2];

/* The store: the epoch of its newest commit on the medium, and the one that the page cache shows. */
byte durable = FIRST, visible = FIRST;

/* The process: the roots in memory, by epoch mod 2. */
byte root[2], current, settled;
bool read_only;

/* A reader: whether it pinned (and which epoch), and the root that it took. */
byte pin, held;

byte erased;			/* the epoch that X dies with; 0: it lives */
bool told;			/* somebody was told that X is gone */
byte crashes, faults;

#define OTHER(e) (((e) + 1) % 2)
#define OLD(e) ((e) != NONE && (e) < erased)
#define X_OPENS (OLD(slot[0]) || OLD(slot[1]) || (pending[0] && OLD(coming[0])) || \
	(pending[1] && OLD(coming[1])) || OLD(root[0]) || OLD(root[1]) || OLD(held))

/* Whatever becomes of what is on its way, the root of the epoch that the medium has is on the medium. */
#define KEPT(e) (slot[(e) % 2] == (e) && (!pending[(e) % 2] || coming[(e) % 2] == (e)))

inline write_slot(p, e)
{
	coming[p] = e;
	pending[p] = true
}

/* Flushed, and read back past the page cache. ok: both said yes. */
inline flush_slot(p, e, look, ok)
{
	if
	:: slot[p] = e; pending[p] = false; ok = true
	/* It fails: all of it may be there, half, or nothing, now or later. */
	:: faults < FAULTS -> faults++; ok = false
	:: faults < FAULTS -> faults++; ok = false; slot[p] = NONE; pending[p] = false
	/* It says yes, and half is there, or nothing. */
	:: faults < FAULTS -> faults++; ok = true; slot[p] = NONE; pending[p] = false
	:: faults < FAULTS -> faults++; ok = true; pending[p] = false
	fi;
	ok = ok && (!(look) || slot[p] == e)
}

inline commit(e, ok)
{
	if
	:: durable = e; visible = e; ok = true
	:: faults < FAULTS -> faults++; ok = false
	:: faults < FAULTS -> faults++; ok = false; durable = e; visible = e
	:: faults < FAULTS -> faults++; ok = false; visible = e
	:: faults < FAULTS -> faults++; ok = false; durable = e
	fi
}

inline arrive(p)
{
	if
	:: !pending[p]
	:: pending[p] -> slot[p] = coming[p]
	:: pending[p]
	:: pending[p] -> slot[p] = NONE
	fi;
	pending[p] = false
}

inline lose_memory()
{
	root[0] = NONE; root[1] = NONE; current = 0; settled = 0; read_only = false; pin = 0; held = NONE;
	at = PREAMBLE
}

/* X dies with this epoch when its commit may be the decision. */
inline decide(e)
{
	if
	:: erased == 0 && (durable == e || visible == e) -> erased = e
	:: else
	fi
}

/* A decision that the world took back: no state of the disk has it. */
inline undo()
{
	if
	:: erased != 0 && durable < erased && visible < erased -> erased = 0
	:: else
	fi
}

inline tell()
{
	if
	:: erased != 0 && erased <= settled -> told = true
	:: else
	fi
}

active proctype vault()
{
	bool ok;

	slot[FIRST % 2] = FIRST;
end:	do
	/* --- recovery --- */
	:: at == PREAMBLE -> atomic {
#if BROKEN != 6
		/* A commit that changes a counter: what is shown is on the medium then, or nothing is done. */
		if
		:: durable = visible; at = TABLE; undo()
		:: faults < FAULTS -> faults++; at = REFUSED
		fi
#else
		at = TABLE
#endif
		}
	:: at == TABLE -> atomic {
		/* Direct reads of the slots come after what the page cache still had. */
		arrive(0); arrive(1);
		if
		:: slot[visible % 2] != visible -> at = REFUSED
		:: slot[visible % 2] == visible && slot[OTHER(visible)] > visible + 1 -> at = REFUSED
		:: else -> current = visible; root[current % 2] = current; settled = current - 1; at = ERASE
		fi
		}
	:: at == ERASE -> atomic {
#if BROKEN != 7
		write_slot(OTHER(current), NONE);
#endif
		at = ERASED
		}
	:: at == ERASED -> atomic {
#if BROKEN != 7
		flush_slot(OTHER(current), NONE, true, ok);
#else
		ok = true;
#endif
		if
		:: ok ->
#if BROKEN != 7
			assert(slot[current % 2] == current && slot[OTHER(current)] == NONE);
#endif
			settled = current; at = SERVING; tell()
		:: !ok -> lose_memory(); at = REFUSED
		fi
		}
	/* --- a switch --- */
	:: at == SERVING && !read_only && current < LAST -> at = (BROKEN == 1 -> K4_EARLY : K3)
	:: at == K4_EARLY -> atomic {
		commit(current + 1, ok); decide(current + 1);
		if
		:: ok -> at = K3
		:: !ok -> lose_memory()
		fi
		}
	:: at == K3 -> atomic { write_slot((current + 1) % 2, current + 1); at = K3_FLUSH }
	:: at == K3_FLUSH -> atomic {
		flush_slot((current + 1) % 2, current + 1, BROKEN != 9, ok);
		if
		:: ok -> root[(current + 1) % 2] = current + 1; at = (BROKEN == 1 || BROKEN == 2 -> K5 : K4)
		:: !ok -> at = SERVING			/* refused cleanly: nothing rests on that slot */
		fi
		}
	:: at == K4 -> atomic {
		/* The decision. */
		commit(current + 1, ok); decide(current + 1);
		if
		:: ok || (BROKEN == 8 && visible == current + 1) -> at = (BROKEN == 2 -> K6 : K5)
		:: else -> lose_memory()		/* unknown: the process ends, recovery decides */
		fi;
#if BROKEN == 3
		told = told || erased != 0
#endif
		}
	:: at == K5 -> atomic { write_slot(OTHER(current + 1), NONE); at = K5_FLUSH }
	:: at == K5_FLUSH -> atomic {
		flush_slot(OTHER(current + 1), NONE, BROKEN != 10, ok);
		read_only = !ok;
		at = (BROKEN == 2 -> K4 : K6);
#if BROKEN == 4
		told = told || (ok && erased != 0)
#endif
		}
	/* Readers of the old epoch finish first. */
	:: at == K6 && (BROKEN == 5 || pin == 0 || pin > current) -> atomic {
		root[current % 2] = NONE; current++;
		if
		:: !read_only -> settled = current
		:: read_only
		fi;
		at = K7
		}
	:: at == K7 -> atomic { tell(); at = SERVING }
	/* --- K5 failed: again, until it succeeds --- */
	:: at == SERVING && read_only -> atomic { write_slot(OTHER(current), NONE); at = AGAIN_FLUSH }
	:: at == AGAIN_FLUSH -> atomic {
		flush_slot(OTHER(current), NONE, true, ok);
		if
		:: ok -> settled = current; read_only = false; tell()
		:: !ok
		fi;
		at = SERVING
		}
	/* --- a reader, while the process is up: pin, take the root of its snapshot, wipe, unpin --- */
	:: at != PREAMBLE && at != TABLE && at != REFUSED && settled > 0 && pin == 0 -> pin = current
	:: pin != 0 && held == NONE && root[visible % 2] == visible -> held = visible
	:: pin != 0 -> atomic { held = NONE; pin = 0 }
	/* --- the world --- */
	:: crashes < CRASHES -> atomic {		/* the power fails: memory and page cache are gone */
		crashes++; lose_memory(); arrive(0); arrive(1); visible = durable; undo()
		}
	:: crashes < CRASHES && at != REFUSED -> atomic { crashes++; lose_memory() }	/* the process is killed */
	:: at == REFUSED && crashes < CRASHES -> atomic { crashes++; at = PREAMBLE }	/* started once more */
	od
}

/* No receipt while anything that exists opens the subject. */
ltl shred { [] (told -> !X_OPENS) }

/* Nobody is lost: the root of the newest commit on the medium is on the medium. */
ltl kept { [] (slot[FIRST % 2] == 0 && durable == FIRST && crashes == 0 && at == PREAMBLE || KEPT(durable)) }
