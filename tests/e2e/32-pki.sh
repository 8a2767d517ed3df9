#!/usr/bin/env bash
# limit: 180 s
# runs beside the others
# Two authorities whose PKIs have two tiers, made by the commands of certs/README.md as they stand there, exchange packages. Then one
# gets a second root: both stand on its card, each CA has a list of its own, and the lists of the new ones begin at 1.
source "$(dirname "$0")/lib.sh"

# two_tiers ID FOLDER [DOMAIN]: the commands of the page, for this authority; the issuing CA is for the whole domain, if one is named
two_tiers() {
    mkdir "$2"
    sed -n '/^```sh$/,/^```$/p' "$ROOT/certs/README.md" | sed '/^```/d' >"$2/commands.sh"
    grep -q '^ID=mla.example.ie$' "$2/commands.sh" || fail "certs/README.md has no commands for two tiers"
    sed -i "s/^ID=.*/ID=$1/; s/permitted;DNS:.*/permitted;DNS:${3:-$1}/" "$2/commands.sh"
    (cd "$2" && bash -eu commands.sh >log 2>&1) || { said "$2/log"; fail "the commands of certs/README.md fail"; }
}

# new_lists FOLDER: the next list of each CA, and the file of both
new_lists() {
    local ca
    for ca in root issuing; do
        (cd "$1" && openssl ca -gencrl -config two-tiers.cnf -name $ca -cert $ca/ca.pem -keyfile $ca/ca.key -md sha256 \
            -crlexts list -crldays 30 -out $ca/ca.crl) >/dev/null 2>&1 || fail "no new list of $ca"
    done
    cat "$1/issuing/ca.crl" "$1/root/ca.crl" "$1/issuing/ca.pem" >"$1/lists.pem"
}

# authority NAME ID: with what two_tiers has made in $WORK/NAME.pki
authority() {
    LISTEN[$1]=127.0.0.1:$(free_port)
    expect 0 "init $1 with a root and an issuing CA" r "$1" init --authority "$2" --name "Central Authority of $1" --country "$1" \
        --listen "${LISTEN[$1]}" --alias "$1" --pki "$WORK/$1.pki/for-init"
    expect 0 "its files belong together" r "$1" check config
}

# numbers NAME PEER: those of the lists of the peer that are in use, ascending
numbers() {
    r "$1" peer show "$2" --json | jq -rc '[.lists[] | select(.in_use) | .number] | sort'
}

# have NAME PEER NUMBERS
have() {
    [ "$(numbers "$1" "$2")" = "$3" ]
}

# arrives FROM TO
arrives() {
    local id
    id=$(send "$1" "$2" "$WORK/evidence.txt")
    wait_state "$2" "$id" held
    wait_state "$1" "$id" closed
    ok "a package of $1 arrives at $2"
}

echo evidence >"$WORK/evidence.txt"
two_tiers mla.example.ie "$WORK/ie.pki"
two_tiers bfj.example.de "$WORK/de.pki"

# What is missing is named, with whose it is and what to do.
for part in issuing root; do
    rm -rf "$WORK/wrong"
    cp -r "$WORK/ie.pki/for-init" "$WORK/wrong"
    cp "$WORK/ie.pki/$part/ca.crl" "$WORK/wrong/tls-ca.crl"
    other=$([ $part = root ] && echo Issuing || echo Root)
    expect 2 "init without a list of the other CA" r wrong-home init --authority mla.example.ie --name IE --country IE --listen 127.0.0.1:1 \
        --pki "$WORK/wrong"
    says "tls-ca.crl is refused: it has no revocation list of the CA .*$other CA" "it names the CA whose list is missing"
    says 'put the newest list of each CA' "it says what to do"
done
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$WORK/rsa.key" -out "$WORK/rsa.pem" -subj /CN=rsa -days 9 \
    -addext subjectAltName=DNS:mla.example.ie 2>/dev/null
rm -rf "$WORK/wrong"
cp -r "$WORK/ie.pki/for-init" "$WORK/wrong"
cat "$WORK/rsa.pem" "$WORK/ie.pki/issuing/ca.pem" >"$WORK/wrong/tls.pem"
cp "$WORK/rsa.key" "$WORK/wrong/tls.key"
chmod 600 "$WORK/wrong/tls.key"
expect 2 "init with an RSA certificate" r wrong-home init --authority mla.example.ie --name IE --country IE --listen 127.0.0.1:1 \
    --pki "$WORK/wrong"
says 'is RSA \(2048 bits\)' "it names the kind of key"

# Both meet, and evidence goes both ways.
authority ie mla.example.ie
authority de bfj.example.de
cp "$WORK/ie/ie.crl" "$WORK/both.crl"
cp "$WORK/ie.pki/issuing/ca.crl" "$WORK/ie/ie.crl"
expect 3 "check config without the list of the root" r ie check config
says 'no revocation list of the CA .*Root CA.*, which issued the certificate of .*Issuing CA' "it names the list that is missing"
cp "$WORK/both.crl" "$WORK/ie/ie.crl"
for name in ie de; do
    start $name
    wait_serving $name
done
trust ie de
trust de ie
expect 0 "ie reaches de" r ie peer ping de
arrives ie de
arrives de ie
expect 0 "the lists are shown" r de peer show ie
says 'Root CA.*number 1, until' "that of the root"
says 'Issuing CA.*number 1, until' "that of the issuing CA"

# Newer lists travel, each by itself, on the connection that is up.
new_lists "$WORK/ie.pki"
new_lists "$WORK/ie.pki"
cp "$WORK/ie.pki/lists.pem" "$WORK/ie/ie.crl"
expect 0 "the new lists are good" r ie check config
expect 0 "ie and de are connected" r ie peer ping de
connections=$(grep -c ' connected peer=' "$WORK/de.log")
kill -HUP "${PID[ie]}"
within 30 "de has the newer lists of both CAs of ie" have de ie '[3,3]'
equal "without another connection" "$connections" "$(grep -c ' connected peer=' "$WORK/de.log")"
expect 0 "older lists of ie, brought by hand" r de peer add "$WORK/ie/ie.card" --crl "$WORK/both.crl"
says 'number 1 of the CA .*Root CA.* was not taken: a newer one is held' "it says that they are not taken"
equal "--json says so too" '[1,1]' "$(r de peer add "$WORK/ie/ie.card" --crl "$WORK/both.crl" --json | jq -c '[.older_lists[].number]')"
equal "the newer ones stay" '[3,3]' "$(numbers de ie)"

# A second root and issuing CA: on the card first, with their lists, which are number 1; then in use.
two_tiers mla.example.ie "$WORK/ie2.pki" example.ie
stop ie
python3 "$ROOT/tests/e2e/rotate.py" "$WORK/ie" ie keep ca="$WORK/ie2.pki/root/ca.pem"
cat "$WORK/ie.pki/lists.pem" "$WORK/ie2.pki/lists.pem" >"$WORK/ie/ie.crl"
expect 0 "both roots stand on the card, and four lists are in the file" r ie check config
start ie
wait_serving ie
within 30 "de has the lists of all four CAs, of the new ones number 1" have de ie '[1,1,3,3]'
arrives ie de
stop ie
cp "$WORK/ie2.pki/for-init/tls.pem" "$WORK/ie2.pki/for-init/tls.key" "$WORK/ie2.pki/for-init/tls-ca.pem" "$WORK/ie/keys"
expect 0 "the new certificate fits" r ie check config
start ie
wait_serving ie
arrives ie de
arrives de ie

# A second authority of the same state has its certificate from the same CAs. It is revoked, and the list comes by the first one.
mkdir "$WORK/ea.pki"
cp -r "$WORK/ie2.pki/for-init" "$WORK/ea.pki"
(
    cd "$WORK/ie2.pki"
    sed -i 's/^subjectAltName = .*/subjectAltName = DNS:eaw.example.ie/' two-tiers.cnf
    openssl req -new -config two-tiers.cnf -key for-init/tls.key -subj /CN=eaw.example.ie |
        openssl x509 -req -sha256 -extfile two-tiers.cnf -extensions leaf -set_serial 0x4a01 -CA issuing/ca.pem -CAkey issuing/ca.key \
            -days 90 -out eaw.pem
    cat eaw.pem issuing/ca.pem >"$WORK/ea.pki/for-init/tls.pem"
) 2>/dev/null || fail "no certificate for the second authority"
authority ea eaw.example.ie
start ea
wait_serving ea
trust ea de
trust de ea
arrives ea de
(cd "$WORK/ie2.pki" && openssl ca -config two-tiers.cnf -name issuing -cert issuing/ca.pem -keyfile issuing/ca.key -md sha256 -revoke eaw.pem) \
    >"$WORK/revoked" 2>&1 || { said "$WORK/revoked"; fail "its certificate cannot be revoked"; }
new_lists "$WORK/ie2.pki"
stop ie
cat "$WORK/ie.pki/lists.pem" "$WORK/ie2.pki/lists.pem" >"$WORK/ie/ie.crl"
start ie
wait_serving ie
is_cut() { grep -q 'connection cut: .*eaw.example.ie.*revoked' "$WORK/de.log"; }
within 30 "de cuts the connection with the one that is revoked" is_cut
expect 6 "it does not come back" r de peer ping ea
says revoked "for it is revoked"
arrives ie de

# A card that nobody has accepted yet: the list of its CA is there when somebody does.
two_tiers mla.example.ie "$WORK/ie3.pki"
python3 "$ROOT/tests/e2e/rotate.py" "$WORK/ie" ie number=5000 ca="$WORK/ie3.pki/root/ca.pem" to="$WORK/far.card"
expect 0 "de adds a card with a number far above" r de peer add "$WORK/far.card" --crl "$WORK/ie3.pki/lists.pem"
equal "its lists wait" 2 "$(r de peer show ie --json | jq '[.lists[] | select(.in_use | not)] | length')"
words=$(r de peer show ie --json | jq -r '.waiting_cards[0].fingerprint')
expect 0 "de accepts it" r de peer accept ie --fingerprint "$words"
equal "they are in use" '[1,1,2,2,3,3]' "$(numbers de ie)"

# de forgets ie, which brought the list that revokes ea: ea stays revoked.
for id in $(r de package list --json | jq -r '.[] | select(.direction == "in" and .state == "held" and .peer_alias == "ie") | .id'); do
    expect 0 "de destroys a package of ie" r de package purge "$id" --justification 'the case is over' --yes
done
expect 0 "de breaks with ie" r de peer revoke ie --justification 'a test'
expect 0 "and forgets it" r de peer remove ie --justification 'a test'
equal "ea has the lists that ie brought" '[2,2]' "$(numbers de ea)"
expect 6 "ea is still revoked" r de peer ping ea
says revoked "for it is revoked"

# Every list is what its row says.
for name in ie de ea; do
    stop $name
    expect 0 "fsck of $name" r $name fsck
done
