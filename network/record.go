package network

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aleph-edge/aleph-edge/kv"
)

// Status is what became of a message.
type Status string

const (
	StatusProcessed Status = "processed" // it is in force
	StatusPending   Status = "pending"   // it waits for a file or a message that has not come
	StatusRejected  Status = "rejected"  // it was refused; posting it again tries again
	StatusForgotten Status = "forgotten" // its owner took it back
)

// Record is what a node knows of a message.
type Record struct {
	Status      Status     `json:"status"`
	Message     *Message   `json:"message"` // without its content once it is forgotten
	Owner       string     `json:"owner"`
	Received    time.Time  `json:"received"` // when it came first
	Rejection   *Rejection `json:"rejection,omitempty"`
	ForgottenBy []string   `json:"forgotten_by,omitempty"` // item hashes of FORGET messages
	Sequence    uint64     `json:"sequence,omitempty"`     // of a processed message: in the log
	Depth       uint32     `json:"depth,omitempty"`        // how many events have led to it; 0 from outside

	Waits []string `json:"waits,omitempty"` // what a pending message waits for: see waitsForFile
	Terms []string `json:"terms,omitempty"` // what a processed message is found by: see termsOf
	Files []string `json:"files,omitempty"` // hashes of files that the message keeps from being removed
}

// The records of this package, all below network/. Times are 16 hex digits, so that keys are in order of time.
//
//	message/<item hash>                  a Record
//	time/<message's time>/<item hash>    processed messages in order of time; the value is the type
//	term/<hash of a term>/<message's time>/<item hash>  processed messages that have it in order of time; the value is the type
//	queue/<status>/<received>/<item hash>  pending and rejected messages, oldest first, so that they can be bounded
//	wait/<what for>/<item hash>          pending messages by what they wait for
//	file/<file hash>/<item hash>         which messages need a file
//	code/<item hash of a STORE>          a codeState
//	follower/<item hash of a STORE>/<program>  programs with that code, or a runtime of that code
//	follower/<program>/<program>         programs whose runtime is another program
//	program/<id>                         a programState
//	element/<owner>/<key>/<item hash>    an AGGREGATE message's part of an aggregate
//	aggregate/<owner>/<key>              an aggregateState
//	log/<sequence>                       processed messages in the order in which they were: see appendLog
//	sequence, trimmed                    the log's last sequence, and the last that was deleted
//	nonce/<nonce>                        of a signed request, while its time is within the window
const keyRoot = "network/"

func messageKey(hash string) string       { return keyRoot + "message/" + hash }
func waitPrefix(dependency string) string { return keyRoot + "wait/" + dependency + "/" }
func waitKey(dependency, h string) string { return waitPrefix(dependency) + h }
func filePrefix(file string) string       { return keyRoot + "file/" + file + "/" }
func fileKey(file, hash string) string    { return filePrefix(file) + hash }
func codeKey(store string) string         { return keyRoot + "code/" + store }
func followerPrefix(store string) string  { return keyRoot + "follower/" + store + "/" }
func followerKey(store, id string) string { return followerPrefix(store) + id }
func programKey(id string) string         { return keyRoot + "program/" + id }
func queuePrefix(status Status) string    { return keyRoot + "queue/" + string(status) + "/" }
func queueKey(r *Record) string {
	return queuePrefix(r.Status) + stamp(r.Received) + "/" + r.Message.ItemHash
}
func timeKey(message *Message) string {
	return keyRoot + "time/" + stamp(fromUnixSeconds(message.Time)) + "/" + message.ItemHash
}
func termKey(term string, message *Message) string {
	return termPrefix(term) + stamp(fromUnixSeconds(message.Time)) + "/" + message.ItemHash
}
func stamp(t time.Time) string            { return fmt.Sprintf("%016x", t.UnixNano()) }
func fromUnixSeconds(s float64) time.Time { return time.UnixMicro(int64(s * 1e6)) }
func waitsForFile(file string) string     { return "file-" + file }
func waitsForMessage(hash string) string  { return "message-" + hash }
func lastSegment(key string) string       { return key[strings.LastIndexByte(key, '/')+1:] }

// load reads a JSON record; false if there is none.
func load[T any](tx *kv.Txn, key string) (*T, bool, error) {
	text, found, err := tx.Get(key)
	if err != nil || !found {
		return nil, false, err
	}
	value := new(T)
	if err := json.Unmarshal(text, value); err != nil {
		return nil, false, fmt.Errorf("record %s: %w", key, err)
	}
	return value, true, nil
}

// save writes a JSON record.
func save(tx *kv.Txn, key string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("record %s: %w", key, err)
	}
	return tx.Set(key, text)
}

// below lists the last segments of the keys below a prefix.
func below(tx *kv.Txn, prefix string) ([]string, error) {
	var names []string
	for record, err := range tx.Iterate(prefix, "") {
		if err != nil {
			return nil, err
		}
		names = append(names, lastSegment(record.Key))
	}
	return names, nil
}

// saveMessage writes a message's record and everything that is found by it; what the record before had there is removed.
func saveMessage(tx *kv.Txn, r *Record) error {
	hash := r.Message.ItemHash
	before, found, err := load[Record](tx, messageKey(hash))
	if err != nil {
		return err
	}
	if found {
		for _, key := range before.indexed() {
			if err := tx.Delete(key); err != nil {
				return err
			}
		}
		if r.Status == StatusForgotten {
			if err := eraseLog(tx, before); err != nil {
				return err
			}
		}
	}
	for _, key := range r.indexed() {
		if err := tx.Set(key, []byte(r.Message.Type)); err != nil {
			return err
		}
	}
	return save(tx, messageKey(hash), r)
}

// deleteMessage removes a message's record as if it had never come.
func deleteMessage(tx *kv.Txn, r *Record) error {
	for _, key := range r.indexed() {
		if err := tx.Delete(key); err != nil {
			return err
		}
	}
	return tx.Delete(messageKey(r.Message.ItemHash))
}

// indexed are the keys besides its own under which a record is found.
func (r *Record) indexed() []string {
	var keys []string
	switch r.Status {
	case StatusProcessed:
		keys = append(keys, timeKey(r.Message))
		for _, term := range r.Terms {
			keys = append(keys, termKey(term, r.Message))
		}
	case StatusPending, StatusRejected:
		keys = append(keys, queueKey(r))
	}
	for _, dependency := range r.Waits {
		keys = append(keys, waitKey(dependency, r.Message.ItemHash))
	}
	for _, file := range r.Files {
		keys = append(keys, fileKey(file, r.Message.ItemHash))
	}
	return keys
}

// isFileNeeded reports whether a recorded message needs a file.
func isFileNeeded(tx *kv.Txn, file string) (bool, error) {
	for _, err := range tx.Iterate(filePrefix(file), "") {
		return err == nil, err
	}
	return false, nil
}

// sameAddress compares addresses: Ethereum's are hex, whose case is only a checksum.
func sameAddress(a, b string) bool {
	return a == b || strings.HasPrefix(a, "0x") && strings.HasPrefix(b, "0x") && strings.EqualFold(a, b)
}

// addressKey is an address as part of a key: the same for all spellings, and without slashes.
func addressKey(address string) string {
	if strings.HasPrefix(address, "0x") {
		address = strings.ToLower(address)
	}
	return HashContent(address)
}
