// Package account finds the key that a client signs with, where the published clients keep theirs.
//
// The key of the environment variable ALEPH_PRIVATE_KEY comes first, then the file
// ~/.aleph-im/private-keys/ethereum.key. If there is neither, a new key is made and saved in that file. A key is never
// part of an error and never printed: an Account prints as its address.
package account

import (
	"crypto/ecdsa"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ethereum/go-ethereum/crypto"
)

// Variable is the environment variable that holds a key: 64 hex digits, with 0x or without.
const Variable = "ALEPH_PRIVATE_KEY"

// File is where the key is kept, below the user's home folder. The published clients write 32 raw bytes to it; hex
// digits are read too.
const File = ".aleph-im/private-keys/ethereum.key"

// keySize is the length of a secp256k1 key in bytes.
const keySize = 32

// Account is an Ethereum account that can sign.
type Account struct {
	Address string // checksummed
	Source  string // where the key is from: Variable or the file's path
	Created bool   // the key was made by this call

	key *ecdsa.PrivateKey
}

// Key signs for the account.
func (a *Account) Key() *ecdsa.PrivateKey { return a.key }

// String is the address.
func (a *Account) String() string { return a.Address }

// GoString is the address, so that %#v does not show the key either.
func (a *Account) GoString() string { return "account.Account{" + a.Address + "}" }

// Load finds the account, or makes one. getenv is os.Getenv, home the user's home folder.
func Load(getenv func(string) string, home string) (*Account, error) {
	if text := getenv(Variable); text != "" {
		key, err := parseHex(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", Variable, err)
		}
		return newAccount(key, Variable), nil
	}
	path := filepath.Join(home, File)
	account, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return create(path)
	}
	return account, err
}

func newAccount(key *ecdsa.PrivateKey, source string) *Account {
	return &Account{Address: crypto.PubkeyToAddress(key.PublicKey).Hex(), Source: source, key: key}
}

func read(path string) (*Account, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read account key: %w", err)
	}
	var key *ecdsa.PrivateKey
	if len(content) == keySize {
		key, err = toKey(content)
	} else {
		key, err = parseHex(string(content))
	}
	if err != nil {
		return nil, fmt.Errorf("account key %s: %w", path, err)
	}
	return newAccount(key, path), nil
}

// create makes a key and saves it as 32 raw bytes. The file appears whole or not at all, and when two processes do this
// at once, both end with the key of the first.
func create(path string) (*Account, error) {
	key, err := crypto.GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("make account key: %w", err)
	}
	if err := save(path, crypto.FromECDSA(key)); errors.Is(err, fs.ErrExist) {
		return read(path)
	} else if err != nil {
		return nil, fmt.Errorf("save account key: %w", err)
	}
	account := newAccount(key, path)
	account.Created = true
	return account, nil
}

// save writes content to a new file with mode 0600, in a folder that is made with 0700 if it is not there. It fails with
// fs.ErrExist if the file exists.
func save(path string, content []byte) error {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(folder, ".ethereum.key-") // CreateTemp's mode is 0600
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(content)
	err = errors.Join(err, temporary.Sync(), temporary.Close())
	if err != nil {
		return err
	}
	if err := os.Link(temporary.Name(), path); err != nil { // unlike a rename, a link replaces nothing
		return err
	}
	directory, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}

func parseHex(text string) (*ecdsa.PrivateKey, error) {
	text = strings.TrimPrefix(strings.TrimSpace(text), "0x")
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != keySize {
		return nil, fmt.Errorf("not a private key: need %d hex digits, with 0x or without", 2*keySize)
	}
	return toKey(raw)
}

func toKey(raw []byte) (*ecdsa.PrivateKey, error) {
	key, err := crypto.ToECDSA(raw)
	if err != nil {
		return nil, errors.New("not a private key: the number is outside the range of secp256k1")
	}
	return key, nil
}
