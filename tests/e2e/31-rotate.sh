#!/usr/bin/env bash
# limit: 300 s
# runs beside the others
# An authority gets a new receipts key, by hand, with 50 packages on their way and 200 held: what was signed before stays what it
# was, everything arrives, opens, is restricted and destroyed, and old and new receipts verify. Then cards that nobody accepted,
# two cards of one number, and peers that are let go.
source "$(dirname "$0")/lib.sh"

# rotated NAME [FIELD…]: a new receipts key and the card that names it, or only a card
rotated() {
    python3 "$ROOT/tests/e2e/rotate.py" "$WORK/$1" "$@"
}

# many FROM TO NUMBER: sends so many packages; their ids
many() {
    local n folder=$WORK/many-$1-$2
    rm -rf "$folder"
    mkdir "$folder"
    for ((n = 1; n <= $3; n++)); do
        echo "evidence $n from $1" >"$folder/$n.txt"
    done
    r "$1" package send --to "$2" "${TERMS[@]}" --each --json "$folder"/*.txt 2>>"$WORK/$1.send.err" |
        jq -r '.id? // empty'
}

# all_are NAME STATE NUMBER DIRECTION: so many packages of this direction there are in this state
all_are() {
    holds "$1" "[.[] | select(.direction == \"$4\" and .state == \"$2\")] | length == $3" package list
}

# card_number NAME PEER: the number of the peer's card there
card_number() {
    r "$1" peer show "$2" --json | jq -r .card_number
}

# knows NAME PEER NUMBER: that card of the peer is in use there
knows() {
    [ "$(card_number "$1" "$2")" = "$3" ]
}

# count NAME KIND: statements of this kind in its ledger
count() {
    r "$1" receipt list --json | jq -r "[.[] | select(.kind == \"$2\")] | length"
}

# cards KIND ID: the cards that the receipts of this kind name, as `from to`
cards() {
    local seq
    for seq in $(r "$1" receipt list --package "$2" --json | jq -r '.[].seq'); do
        r "$1" receipt show "$seq" --json | jq -r .note | sed -n 2p | jq -r '"\(.kind) \(.from.card) \(.to.card)"'
    done
}

# verified NAME ID: the receipts of this package are good for the auditor's program, by the keys that the other side has accepted
verified() {
    rm -rf "$WORK/bundle"*
    expect 0 "$1 exports the receipts of $2" r "$1" receipt export "$2" --out "$WORK/bundle"
    expect 0 "rogatory-audit finds them good" "$(dirname "$BIN")/rogatory-audit" verify "$WORK/bundle" --keys "$WORK/bundle/keys/vkeys.txt"
}

two_authorities
new_authority fr mj.example.fr FR
start fr
wait_serving fr
trust ie fr
trust fr ie

echo "---- 200 held, 50 on their way, to and fro"
many ie de 100 >"$WORK/held.ie"
many de ie 100 >"$WORK/held.de"
within 60 "100 packages of ie are held by de" all_are de held 100 in
within 60 "100 packages of de are held by ie" all_are ie held 100 in
within 60 "ie knows it" all_are ie closed 100 out
within 60 "de knows it" all_are de closed 100 out
# On their way: signed and stored at the one that is about to change, half of them shown to a daemon that is killed meanwhile.
stop de
many ie de 25 >"$WORK/way.ie"
many ie fr 25 >"$WORK/way.fr" &
sending=$!
start de
patient 20 serves de || fail "de does not serve"
many de ie 25 >"$WORK/way.de"
kill_hard ie
wait "$sending" || true
equal "packages that ie has signed for de" 25 "$(wc -l <"$WORK/way.ie")"

echo "---- a new key and card"
rotated ie
start ie
wait_serving ie
within 60 "de has adopted card 2 of ie" knows de ie 2
within 60 "fr has adopted card 2 of ie" knows fr ie 2
within 60 "everything of ie is there" all_are de held 125 in
within 60 "everything of de is there" all_are ie held 125 in
within 60 "de knows it" all_are de closed 125 out
within 60 "ie has nothing on its way" holds ie '[.[] | select(.state == "dispatched" or .state == "consigned" or .state == "delivered")] | length == 0' package list
equal "ie has announced both cards in its log" 2 "$(count ie key-announce)"

echo "---- what was signed before is what it was"
old=$(head -n 1 "$WORK/held.ie") theirs=$(head -n 1 "$WORK/held.de")
way=$(tail -n 1 "$WORK/way.ie")
opened=0
while read -r id; do
    r de package open "$id" --purpose prosecution --justification 'rotation' --out "$WORK/opened" >"$WORK/out" 2>"$WORK/err" || {
        said "$WORK/err"
        fail "$id does not open"
    }
    rm -rf "$WORK/opened"
    opened=$((opened + 1))
done < <(cat "$WORK/held.ie" "$WORK/way.ie")
equal "packages of ie that de opens" 125 "$opened"
opened=0
while read -r id; do
    r ie package open "$id" --purpose prosecution --justification 'rotation' --out "$WORK/opened" >"$WORK/out" 2>"$WORK/err" || {
        said "$WORK/err"
        fail "$id does not open"
    }
    rm -rf "$WORK/opened"
    opened=$((opened + 1))
done < <(cat "$WORK/held.de" "$WORK/way.de")
equal "packages of de that ie opens" 125 "$opened"
expect 0 "ie restricts an old one" r ie package restrict "$old" --retain-until 2029-12-31 --justification 'closed'
within 30 "de has heard it" holds de '.terms.retain_until == "2029-12-31"' package show "$old"
expect 0 "ie takes another back" r ie package withdraw "$(sed -n 2p "$WORK/held.ie")" --justification 'annulled'
expect 0 "de destroys the old one" r de package purge "$old" --justification 'no longer needed' --yes
wait_state ie "$old" destroyed
expect 0 "ie destroys one that it had before" r ie package purge "$theirs" --justification 'no longer needed' --yes
wait_state de "$theirs" destroyed
wait_state de "$theirs" destroyed
wait_state ie "$theirs" destroyed
cards de "$old" >"$WORK/cards"
equal "the dispatch names card 1 of both" "dispatch 1 1" "$(grep '^dispatch ' "$WORK/cards" | sort -u)"
equal "the change of terms names card 2 of ie" "restriction-changed 2 1" "$(grep '^restriction-changed ' "$WORK/cards" | sort -u)"
equal "the destruction too" "destroyed 2 1" "$(grep '^destroyed ' "$WORK/cards" | sort -u)"
for id in "$old" "$theirs" "$way"; do
    verified ie "$id"
    verified de "$id"
done
stop de
expect 0 "fsck of de verifies all signatures" r de fsck --json
equal "none is by a key that it does not know" 0 "$(jq -r .unverified "$WORK/out")"
start de
wait_serving de
new=$(send ie de "$WORK/many-ie-de/1.txt")
wait_state de "$new" held

echo "---- two more keys, while nobody can hear of the first"
stop de
between=$(send ie de "$WORK/many-ie-de/4.txt")
for card in 3 4; do
    stop ie
    rotated ie
    start ie
    wait_serving ie
    between="$between $(send ie de "$WORK/many-ie-de/$((card + 2)).txt")"
done
start de
wait_serving de
within 60 "de has adopted card 4 of ie" knows de ie 4
for id in $between; do
    wait_state de "$id" held
done
equal "cards under which they were sent" "2 3 4" "$(for id in $between; do cards de "$id" | sed -n 's/^dispatch \([0-9]*\) .*/\1/p'; done | sort -u | xargs)"
equal "cards of ie that de has adopted" 4 "$(count de card-adopted)"

echo "---- a new card, the same keys"
stop ie
waits=$(sed -n 3p "$WORK/held.ie")
expect 0 "de destroys a package while ie is away, under its card 4" r de package purge "$waits" --justification 'no longer needed' --yes
rotated ie keep name="Another name"
start ie
wait_serving ie
within 60 "de has adopted card 5 of ie" knows de ie 5
wait_state ie "$waits" destroyed
equal "the destruction names card 4, and is signed by both" "destroyed 4 1" "$(cards ie "$waits" | grep '^destroyed ' | sort -u)"
new=$(send ie de "$WORK/many-ie-de/7.txt")
wait_state de "$new" held
back=$(send de ie "$WORK/many-de-ie/1.txt")
wait_state ie "$back" held

echo "---- cards that nobody has accepted"
cp "$WORK/ie/ie.card" "$WORK/genuine.card"
mkdir "$WORK/forger"
new_authority forged mla.example.ie IE
rotated forged to="$WORK/forged.card" number=9007199254740991
mv "$WORK/forged.card" "$WORK/forged/forged.card"
expect 0 "de takes in a card of ie that somebody else has made" r de peer add "$WORK/forged/forged.card"
equal "ie stays accepted" accepted "$(r de peer show ie --json | jq -r .state)"
equal "with its card" 5 "$(card_number de ie)"
equal "the other one waits" 9007199254740991 "$(r de peer show ie --json | jq -r '.waiting_cards[0].number')"
within 5 "status has it" holds de '[.problems[] | .code] | any(. == "card-not-accepted")' status
new=$(send ie de "$WORK/many-ie-de/2.txt")
wait_state de "$new" held
expect 0 "and opens, as before" r de package open "$new" --purpose prosecution --justification 'rotation' --out "$WORK/opened"
expect 6 "words of no card are refused" r de peer accept ie --fingerprint lantern-orbit-maple-seven-copper-tide

echo "---- two cards of one number"
rotated ie to="$WORK/twin.card" number=5 name=Twin
expect 6 "de is shown a second card number 5 by the same card key" r de peer add "$WORK/twin.card"
says 'two cards of number 5' "it says so"
equal "ie is paused" paused "$(r de peer show ie --json | jq -r .state)"
equal "both cards are kept" true "$(r de peer show ie --json | jq -r '[.waiting_cards[] | .conflicts] | any')"
within 5 "status has it" holds de '[.problems[] | .code] | any(. == "card-conflict")' status
expect 6 "no connection" r de peer ping ie
expect 0 "de resumes" r de peer resume ie --justification 'asked by telephone: an error of the clerk'
expect 0 "and reaches it" r de peer ping ie

echo "---- peers that are let go"
before=$(count de order)
expect 0 "de pauses ie" r de peer pause ie --justification 'maintenance'
expect 6 "no connection" r de peer ping ie
waits=$(send ie de "$WORK/many-ie-de/3.txt")
expect 9 "what is paused is not paused again" r de peer pause ie --justification 'again'
expect 0 "de resumes" r de peer resume ie --justification 'it is over'
within 60 "what was sent meanwhile arrives" comes_to de "$waits" held
expect 2 "ie cannot be removed while something of it is held" r de peer remove ie --justification 'unused'
says 'held or on their way' "it says why"
expect 0 "de breaks with ie" r de peer revoke ie --justification 'its keys were stolen'
expect 6 "no connection" r de peer ping ie
expect 2 "for good" r de peer resume ie --justification 'changed my mind'
expect 0 "what is held still opens" r de package open "$way" --purpose prosecution --justification 'after the break' --out "$WORK/opened.after"
expect 0 "and is destroyed" r de package purge "$way" --justification 'after the break' --yes
expect 2 "it is not removed while something of it is held" r de peer remove ie --justification 'for good'
gone=0
for id in $(r de package list --json | jq -r '.[] | select(.direction == "in" and .state == "held") | .id'); do
    r de package purge "$id" --justification 'clearing' --yes >"$WORK/out" 2>"$WORK/err" || fail "de cannot destroy $id: $(cat "$WORK/err")"
    gone=$((gone + 1))
done
ok "de destroys $gone packages"
equal "each decision is stated" $((before + 3)) "$(count de order)"
expect 0 "fr pauses ie" r fr peer pause ie --justification 'before it goes'
gone=0
for id in $(r fr package list --json | jq -r '.[].id'); do
    r fr package purge "$id" --justification 'clearing' --yes >"$WORK/out" 2>"$WORK/err" || fail "fr cannot destroy $id: $(cat "$WORK/err")"
    gone=$((gone + 1))
done
ok "fr destroys $gone packages"
expect 0 "fr resumes, so that ie hears it" r fr peer resume ie --justification 'for the receipts'
within 60 "everything of ie is settled at fr" holds fr '[.[] | select(.state != "destroyed")] | length == 0' package list
expect 0 "fr removes ie" r fr peer remove ie --justification 'the arrangement has ended'
says 'was forgotten' "which is said"
expect 6 "it is gone" r fr peer show ie
id=$(head -n 1 "$WORK/way.fr")
if [ -n "$id" ]; then
    expect 0 "what it has signed still verifies" r fr package verify "$id"
    verified fr "$id"
fi
expect 0 "de removes ie, of which nothing is held here any more" r de peer remove ie --justification 'to begin anew'
expect 6 "a forged card with a low number is not taken in for a former peer" r de peer add "$WORK/twin.card"
expect 0 "its own card is" r de peer add "$WORK/ie/ie.card"
expect 0 "de accepts it" r de peer accept ie --fingerprint "$(fingerprint ie)"
new=$(send ie de "$WORK/many-ie-de/8.txt")
wait_state de "$new" held
wait_state ie "$waits" destroyed
for name in ie de fr; do
    stop "$name"
    expect 0 "fsck of $name" r "$name" fsck
done
