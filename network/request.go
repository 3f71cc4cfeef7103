package network

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aleph-edge/aleph-edge/kv"
)

// RequestWindow is how far the time of a signed request may be from the node's clock, either way.
const RequestWindow = 60 * time.Second

// requestScheme is the first word of the Authorization header.
const requestScheme = "Aleph "

// SignRequest gives the Authorization header of a request that only a program's owner may make: a signature, good for
// one use at one node, of the method, the path with its query exactly as sent, and the body.
func SignRequest(key *ecdsa.PrivateKey, nodeID, method, pathQuery string, body []byte) (string, error) {
	return signRequest(key, nodeID, method, pathQuery, body, time.Now())
}

func signRequest(key *ecdsa.PrivateKey, nodeID, method, pathQuery string, body []byte, now time.Time) (string, error) {
	nonce := make([]byte, 16)
	rand.Read(nonce) // never fails
	proof := requestProof{address: Address(key), time: strconv.FormatInt(now.Unix(), 10), nonce: hex.EncodeToString(nonce)}
	var err error
	proof.signature, err = personalSign(key, proof.signedText(nodeID, method, pathQuery, body))
	if err != nil {
		return "", fmt.Errorf("sign request: %w", err)
	}
	return fmt.Sprintf("%saddress=%s,time=%s,nonce=%s,signature=%s", requestScheme, proof.address, proof.time, proof.nonce, proof.signature), nil
}

// requestProof is the content of the Authorization header.
type requestProof struct{ address, time, nonce, signature string }

func (p requestProof) signedText(nodeID, method, pathQuery string, body []byte) string {
	digest := sha256.Sum256(body)
	return strings.Join([]string{"aleph-request-v1", nodeID, method, pathQuery, p.time, p.nonce, hex.EncodeToString(digest[:])}, "\n")
}

// parseRequestProof reads the header. Each of the four fields must be there once.
func parseRequestProof(header string) (requestProof, error) {
	var proof requestProof
	fields := map[string]*string{"address": &proof.address, "time": &proof.time, "nonce": &proof.nonce, "signature": &proof.signature}
	text, found := strings.CutPrefix(header, requestScheme)
	if !found {
		return proof, unauthorized("the request is not signed")
	}
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		field := fields[name]
		if field == nil || *field != "" || value == "" {
			return proof, unauthorized("the Authorization header is not Aleph address=…,time=…,nonce=…,signature=…")
		}
		*field = value
	}
	if proof.address == "" || proof.time == "" || proof.nonce == "" || proof.signature == "" {
		return proof, unauthorized("the Authorization header is not Aleph address=…,time=…,nonce=…,signature=…")
	}
	if nonce, err := hex.DecodeString(proof.nonce); err != nil || len(nonce) != 16 {
		return proof, unauthorized("the nonce is not 32 hex digits")
	}
	return proof, nil
}

func unauthorized(format string, args ...any) *Rejection {
	return reject(CodeUnauthorized, "", format, args...).hint("sign it as docs/http.md says; the aleph command does")
}

// RequestVerifier checks signed requests at one node. It remembers the nonces of those it let through in the database,
// each for as long as its time is within the window: a request is good for one use, also when the node restarts. Only
// owners' requests are remembered, so strangers cannot fill that memory.
type RequestVerifier struct {
	db     *kv.DB
	nodeID string
	now    func() time.Time
}

// NewRequestVerifier makes a verifier for the node with that id. now is its clock, time.Now for the real one.
func NewRequestVerifier(db *kv.DB, nodeID string, now func() time.Time) *RequestVerifier {
	return &RequestVerifier{db, nodeID, now}
}

// Verify checks that a request was signed by owner and not seen before. pathQuery is the path with its query as the client
// sent it, header the Authorization header. The error is a *Rejection with CodeUnauthorized or, for a good signature of
// someone else, CodeForbidden; any other error is the database's.
func (v *RequestVerifier) Verify(header, owner, method, pathQuery string, body []byte) error {
	proof, err := parseRequestProof(header)
	if err != nil {
		return err
	}
	seconds, err := strconv.ParseInt(proof.time, 10, 64)
	if err != nil {
		return unauthorized("the time is not in Unix seconds")
	}
	if off := v.now().Sub(time.Unix(seconds, 0)); off > RequestWindow || off < -RequestWindow {
		return reject(CodeUnauthorized, "", "the request's time is %.0f s off the node's clock, the limit is %.0f s", off.Seconds(), RequestWindow.Seconds()).
			hint("set the clock and sign the request again")
	}
	signer, err := personalSigner(proof.signedText(v.nodeID, method, pathQuery, body), proof.signature)
	if err != nil {
		return unauthorized("the signature %v", err)
	}
	if !strings.EqualFold(signer, proof.address) {
		return unauthorized("the signature is not that of %s over this request to this node", shorten(proof.address))
	}
	if !sameAddress(signer, owner) {
		return reject(CodeForbidden, "", "only %s may do this, not %s", owner, signer).hint("use the key that deployed the program")
	}
	return v.spend(proof.nonce)
}

// spend uses up a nonce.
func (v *RequestVerifier) spend(nonce string) error {
	key := keyRoot + "nonce/" + strings.ToLower(nonce)
	spent := false
	err := v.db.Update(func(tx *kv.Txn) (err error) {
		if _, spent, err = tx.Get(key); err != nil || spent {
			return err
		}
		// The time may be ahead of the clock by a window and is good until a window after that.
		return tx.SetTTL(key, []byte{1}, 2*RequestWindow)
	})
	if err != nil {
		return fmt.Errorf("remember request: %w", err)
	}
	if spent {
		return unauthorized("the request was made before: its nonce is spent")
	}
	return nil
}
