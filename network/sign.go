package network

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
)

// Options of Sign. The zero value is a message on chain ETH, without a channel, of now.
type Options struct {
	Chain   string    // any EVM chain; the default value is "ETH"
	Channel string    // the default value is none
	Time    time.Time // the default value is the current time
}

// Sign makes a message of a content and signs it with an Ethereum key. The content is encoded once; it must name the
// address of the key (see Address) as its owner unless that owner has delegated to it.
func Sign(key *ecdsa.PrivateKey, messageType Type, content any, options Options) (*Message, error) {
	text, err := EncodeContent(content)
	if err != nil {
		return nil, err
	}
	if len(text) > MaxInline {
		return nil, reject(CodeTooLarge, "item_content", "%d bytes, the limit is %d", len(text), MaxInline)
	}
	if options.Chain == "" {
		options.Chain = "ETH"
	}
	if !evmChains[options.Chain] {
		return nil, reject(CodeUnsupportedChain, "chain", "an Ethereum key cannot sign for chain %q", options.Chain)
	}
	if options.Time.IsZero() {
		options.Time = time.Now()
	}
	message := &Message{
		Chain: options.Chain, Sender: Address(key), Channel: options.Channel, Time: UnixSeconds(options.Time),
		Type: messageType, ItemType: ItemInline, ItemHash: HashContent(text), ItemContent: text,
	}
	message.Signature, err = personalSign(key, message.signedText())
	if err != nil {
		return nil, fmt.Errorf("sign message: %w", err)
	}
	return message, nil
}

// Address is the checksummed Ethereum address of a key.
func Address(key *ecdsa.PrivateKey) string {
	return crypto.PubkeyToAddress(key.PublicKey).Hex()
}

// Verify checks that item_hash is the hash of an inline content and that the sender signed it.
// The error is a *Rejection.
func (m *Message) Verify() error {
	if m.ItemType == ItemInline {
		if hash := HashContent(m.ItemContent); hash != m.ItemHash {
			return reject(CodeInvalidHash, "item_hash", "item_content has the SHA-256 %s, not %s", hash, shorten(m.ItemHash)).
				hint("hash the UTF-8 bytes of the item_content string that is sent, in lower-case hex")
		}
	}
	switch {
	case evmChains[m.Chain]:
		return m.verifyEthereum()
	case solanaChains[m.Chain]:
		return m.verifySolana()
	}
	return reject(CodeUnsupportedChain, "chain", "signatures of chain %q cannot be checked by this node", shorten(m.Chain)).
		hint("sign with an Ethereum (ETH or any EVM chain) or Solana (SOL) account")
}

// signedText is what the sender signs. Time and channel are not in it.
func (m *Message) signedText() string {
	return m.Chain + "\n" + m.Sender + "\n" + string(m.Type) + "\n" + m.ItemHash
}

func (m *Message) verifyEthereum() error {
	signer, err := personalSigner(m.signedText(), m.Signature)
	if err != nil {
		return reject(CodeInvalidSignature, "signature", "%v", err)
	}
	if !strings.EqualFold(signer, m.Sender) {
		return reject(CodeInvalidSignature, "signature", "signed by %s, not by the sender %s", signer, shorten(m.Sender)).
			hint(`sign chain, sender, type and item_hash joined by "\n" (EIP-191 personal_sign)`)
	}
	return nil
}

func (m *Message) verifySolana() error {
	var proof struct{ Signature, PublicKey string }
	if err := json.Unmarshal([]byte(m.Signature), &proof); err != nil {
		return reject(CodeInvalidSignature, "signature", "of this chain must be JSON {signature, publicKey}")
	}
	key, keyOK := decodeBase58(proof.PublicKey, ed25519.PublicKeySize)
	signature, signatureOK := decodeBase58(proof.Signature, ed25519.SignatureSize)
	if !keyOK || !signatureOK {
		return reject(CodeInvalidSignature, "signature", "publicKey must be %d and signature %d bytes in base58",
			ed25519.PublicKeySize, ed25519.SignatureSize)
	}
	if proof.PublicKey != m.Sender {
		return reject(CodeInvalidSignature, "signature", "by key %s, not by the sender %s", shorten(proof.PublicKey), shorten(m.Sender))
	}
	if !ed25519.Verify(key, []byte(m.signedText()), signature) {
		return reject(CodeInvalidSignature, "signature", "is not that of chain, sender, type and item_hash")
	}
	return nil
}

// Chains whose accounts sign as Ethereum's and as Solana's do (pyaleph's signature verifiers). AVAX is not among them:
// its accounts sign in a form of their own.
var (
	evmChains = setOf("ETH", "ARB", "AURORA", "BASE", "BLAST", "BOB", "BSC", "CYBER", "ETHERLINK", "FRAX", "HYPE", "INK", "LENS",
		"LINEA", "LISK", "METIS", "MODE", "NEO", "OP", "POL", "SONIC", "STT", "UNICHAIN", "WLD", "ZORA")
	solanaChains = setOf("SOL", "ES")
)

// personalSign signs a text as wallets do (EIP-191, personal_sign). The result is 0x and 65 bytes of hex: r, s, v.
func personalSign(key *ecdsa.PrivateKey, text string) (string, error) {
	signature, err := crypto.Sign(textHash(text), key)
	if err != nil {
		return "", err
	}
	signature[64] += 27
	return "0x" + hex.EncodeToString(signature), nil
}

// personalSigner is the checksummed address that signed a text. As in go-ethereum, v may be 0, 1, 27 or 28, and both s
// of a signature recover the same address: nothing here is identified by its signature.
func personalSigner(text, signature string) (string, error) {
	raw, err := hex.DecodeString(strings.TrimPrefix(signature, "0x"))
	if err != nil || len(raw) != crypto.SignatureLength {
		return "", fmt.Errorf("must be 0x and %d hex digits", 2*crypto.SignatureLength)
	}
	if raw[64] >= 27 {
		raw[64] -= 27
	}
	if raw[64] > 1 {
		return "", fmt.Errorf("must end with v of 0, 1, 27 or 28")
	}
	key, err := crypto.SigToPub(textHash(text), raw)
	if err != nil {
		return "", fmt.Errorf("belongs to no key")
	}
	return crypto.PubkeyToAddress(*key).Hex(), nil
}

// textHash is go-ethereum's accounts.TextHash. Importing that package for this line would bring 34 more packages along, among
// them the chain's types and KZG proofs.
func textHash(text string) []byte {
	return crypto.Keccak256(fmt.Appendf(nil, "\x19Ethereum Signed Message:\n%d%s", len(text), text))
}

// shorten bounds what a message's own text adds to an error.
func shorten(text string) string {
	const limit = 100
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

func setOf(names ...string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}
