#!/usr/bin/env bash
# The model of the switch, exhaustively: as it is no property fails; each broken variant fails the one
# that it has to. Prints the number of states.
#   tests/model/run.sh [--large]     --large: one more crash, one more fault, one more epoch
set -euo pipefail
cd "$(dirname "$0")"
bounds=()
[ "${1:-}" != --large ] || bounds=(-DFAULTS=3 -DCRASHES=3 -DLAST=4)
model=$PWD/switch.pml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# Property that has to fail, or - for none; what is broken.
variants=(
	"- nothing"
	"kept K4 before K3"
	"kept K5 before K4"
	"shred the answer before K5"
	"shred the answer before K6"
	"shred K6 does not wait for readers"
	"kept recovery without its preamble"
	"shred recovery leaves the other slot"
	"kept the process goes on after a failed commit"
	"kept K3 does not read back"
	"shred K5 does not read back"
)

failed=0
for i in "${!variants[@]}"; do
	read -r wanted what <<<"${variants[$i]}"
	spin -a "-DBROKEN=$i" ${bounds[@]+"${bounds[@]}"} "$model" >spin.log 2>&1 || { cat spin.log; exit 1; }
	gcc -O1 -w -DNOREDUCE -DMEMLIM=8000 -o pan pan.c
	for property in kept shred; do
		./pan -a -N "$property" -m2000000 >pan.log 2>&1 || true
		errors=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' pan.log)
		states=$(sed -n 's/ *\([0-9.e+]*\) states, stored.*/\1/p' pan.log | head -n 1)
		verdict=ok
		if grep -qE 'max search depth too small|out of memory' pan.log || [ -z "$errors" ]; then
			verdict='NOT EXHAUSTIVE'
		elif [ "$property" = "$wanted" ] && [ "$errors" -eq 0 ]; then
			verdict='SHOULD HAVE FAILED'
		elif [ "$property" != "$wanted" ] && [ "$errors" -ne 0 ] && [ "$wanted" = - ]; then
			verdict='FAILS'
		fi
		[ "$verdict" = ok ] || failed=1
		printf '%-48s %-6s %9s states  %s  %s\n' "$what" "$property" "$states" \
			"$([ "$errors" = 0 ] && echo holds || echo fails)" "$verdict"
	done
done
exit "$failed"
