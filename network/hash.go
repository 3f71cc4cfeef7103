package network

import "regexp"

// The forms of item hashes: the hex SHA-256 of messages and files in storage, and IPFS content ids of version 0 and 1.
var (
	storageHash = regexp.MustCompile(`^[0-9a-f]{64}$`)
	ipfsHash    = regexp.MustCompile(`^(Qm[1-9A-HJ-NP-Za-km-z]{42,44}|bafy[a-z2-7]{55})$`)
)

// IsStorageHash reports whether a text is a lower-case hex SHA-256: the form of program ids and of files in storage.
func IsStorageHash(hash string) bool { return storageHash.MatchString(hash) }

func checkHash(field, hash string) error {
	if storageHash.MatchString(hash) || ipfsHash.MatchString(hash) {
		return nil
	}
	return reject(CodeInvalidFormat, field, "%q is not an item hash", shorten(hash)).
		hint("an item hash is 64 lower-case hex digits, or an IPFS id that begins with Qm or bafy")
}
