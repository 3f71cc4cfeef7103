package network

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aleph-edge/aleph-edge/kv"
)

// codeState is the history of a file: the first STORE, by whose item hash it goes, and those that amend it.
type codeState struct {
	Owner    string        `json:"owner"`
	Versions []codeVersion `json:"versions"` // in order; the last is the latest
}

type codeVersion struct {
	Store string  `json:"store"` // item hash of the STORE message
	File  string  `json:"file"`
	Time  float64 `json:"time"` // of its content
}

func (c *codeState) latest() codeVersion { return c.Versions[len(c.Versions)-1] }

// maxHistory bounds the messages that a history lists, so that it fits into a record. The first one stays; of the others
// the oldest leave the list. They are still there, but no longer go when the first one is forgotten.
const maxHistory = 1000

func appendBounded[T any](history []T, last T) []T {
	if len(history) >= maxHistory {
		history = slices.Delete(history, 1, 2)
	}
	return append(history, last)
}

// programState is what the messages say of a program; the program itself is kept by the ProgramHandler.
type programState struct {
	Owner    string   `json:"owner"`
	Messages []string `json:"messages"` // item hashes of its PROGRAM messages; the last is in force
	Time     float64  `json:"time"`     // of the last one's content
	Code     string   `json:"code"`     // item hash of the first STORE of its code

	// Of a runtime that the node has not itself: the first STORE of its module, and the program that it is.
	Runtime        string `json:"runtime,omitempty"`
	RuntimeProgram string `json:"runtime_program,omitempty"`
}

// follows are what may not be forgotten while the program is there, and whose changes it may take up.
func (s *programState) follows() []string {
	return slices.DeleteFunc([]string{s.Code, s.Runtime, s.RuntimeProgram}, func(name string) bool { return name == "" })
}

// from sets where the program's runtime is from.
func (s *programState) from(r *runtimeSource) {
	s.Runtime, s.RuntimeProgram = "", ""
	if r != nil {
		s.Runtime, s.RuntimeProgram = r.root, r.program
	}
}

// saveProgram writes what the messages say of a program, which followed other things before.
func saveProgram(tx *kv.Txn, id string, before []string, s *programState) error {
	for _, name := range before {
		if err := tx.Delete(followerKey(name, id)); err != nil {
			return err
		}
	}
	for _, name := range s.follows() {
		if err := tx.Set(followerKey(name, id), nil); err != nil {
			return err
		}
	}
	return save(tx, programKey(id), s)
}

// store plans a STORE: a new file, or a new version of one, which programs that follow it get in the same transaction.
func (p *plan) store(ctx context.Context, c *Store) error {
	n, hash := p.node, p.record.Message.ItemHash
	version := codeVersion{Store: hash, File: c.ItemHash, Time: c.Time}
	if c.Ref == "" {
		p.write(func(tx *kv.Txn) error {
			return save(tx, codeKey(hash), &codeState{Owner: c.Address, Versions: []codeVersion{version}})
		})
		return nil
	}
	p.lock(lockCode, c.Ref)
	code, err := n.codeToAmend(c)
	if err != nil {
		return err
	}
	if latest := code.latest(); c.Time < latest.Time {
		return reject(CodeSuperseded, "content.time", "%.3f is before %.3f, the time of the version in force (%s)", c.Time, latest.Time, latest.Store)
	}
	code.Versions = appendBounded(code.Versions, version)
	p.write(func(tx *kv.Txn) error { return save(tx, codeKey(c.Ref), code) })
	followers, err := n.followersOf(c.Ref)
	if err != nil {
		return err
	}
	p.lock(lockProgram, followers...)
	return p.updateFollowers(ctx, c.Ref, c, amendment{root: c.Ref, version: version})
}

// codeToAmend is the file that a STORE is a new version of. It is locked.
func (n *Node) codeToAmend(c *Store) (code *codeState, err error) {
	err = n.db.View(func(tx *kv.Txn) error {
		target, err := n.target(tx, "content.ref", c.Ref, TypeStore)
		if err != nil {
			return err
		}
		if !sameAddress(target.Owner, c.Address) {
			return reject(CodePermissionDenied, "content.ref", "%s belongs to %s", c.Ref, target.Owner)
		}
		var found bool
		if code, found, err = load[codeState](tx, codeKey(c.Ref)); err == nil && !found {
			err = reject(CodeAmendNotAllowed, "content.ref", "%s amends another STORE itself", c.Ref).
				hint("ref must be the item hash of the first STORE")
		}
		return err
	})
	return code, err
}

// target is the record of a message that another one changes. A message that is pending is waited for.
func (n *Node) target(tx *kv.Txn, field, hash string, messageType Type) (*Record, error) {
	r, found, err := load[Record](tx, messageKey(hash))
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, reject(CodeRefNotFound, field, "no message %s is known here", hash)
	case r.Message.Type != messageType:
		return nil, reject(CodeAmendNotAllowed, field, "%s is a %s message, not a %s", hash, r.Message.Type, messageType)
	case r.Status == StatusPending:
		return nil, waiting{waitsForMessage(hash)}
	case r.Status != StatusProcessed:
		return nil, reject(CodeRefNotFound, field, "message %s is %s", hash, r.Status)
	}
	return r, nil
}

// followersOfOthers is how many programs of other owners take up a new version at once; the rest does at its next deploy.
const followersOfOthers = 100

// updateFollowers prepares new versions of the programs that follow what is amended, by its name: a file, or a program that is their
// runtime. It is locked, so none joins meanwhile, and the followers are. One of another owner that cannot start with it stays as it is:
// it has no say in what others deploy.
func (p *plan) updateFollowers(ctx context.Context, name string, c content, a amendment) error {
	followers, err := p.node.followersOf(name) // without those that left before they were locked
	if err != nil {
		return err
	}
	others := 0
	for _, id := range followers {
		state, content, err := p.node.programInForce(id)
		if err != nil {
			return err
		}
		own := sameAddress(state.Owner, c.owner())
		if !own {
			if others++; others > followersOfOthers {
				continue
			}
		}
		err = p.updateFollower(ctx, id, state, content, c.writtenAt(), a)
		if rejected := (*Rejection)(nil); !own && errors.As(err, &rejected) {
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// updateFollower prepares a new version of a program, if it is one that follows what is amended.
func (p *plan) updateFollower(ctx context.Context, id string, state *programState, content *Program, time float64, a amendment) error {
	n := p.node
	runtime, err := n.runtimeOf(content.Runtime, a)
	if err != nil {
		return err
	}
	inFile := a.root != "" && (state.Code == a.root && content.Code.UseLatest || runtime != nil && runtime.root == a.root && runtime.follows)
	inProgram := a.program != "" && state.RuntimeProgram == a.program && content.Runtime.UseLatest
	if !inFile && !inProgram {
		return nil
	}
	_, code, err := n.codeInForce("content.code.ref", content.Code.Ref, content.Code.UseLatest, a)
	if err != nil {
		return err
	}
	d := Deployment{Program: id, Owner: state.Owner, Content: content, Time: time, Runtime: runtime.moduleOf()}
	if err := p.prepare(ctx, d, code); err != nil {
		return err
	}
	before, next := state.follows(), *state
	next.from(runtime)
	p.write(func(tx *kv.Txn) error { return saveProgram(tx, id, before, &next) })
	return nil
}

func (n *Node) followersOf(root string) (programs []string, err error) {
	err = n.db.View(func(tx *kv.Txn) error {
		programs, err = below(tx, followerPrefix(root))
		return err
	})
	return programs, err
}

// programInForce is a program's state and the content of its latest PROGRAM message. The program is locked.
func (n *Node) programInForce(id string) (state *programState, content *Program, err error) {
	var message *Message
	err = n.db.View(func(tx *kv.Txn) error {
		var found bool
		if state, found, err = load[programState](tx, programKey(id)); err != nil || !found {
			return notThere(err, programKey(id))
		}
		r, found, err := load[Record](tx, messageKey(state.Messages[len(state.Messages)-1]))
		if err != nil || !found {
			return notThere(err, messageKey(id))
		}
		message = r.Message
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	content = newProgram()
	return state, content, n.readContent(message, content)
}

// notThere is the error of a record that must be there.
func notThere(err error, key string) error {
	if err == nil {
		err = fmt.Errorf("record %s is missing", key)
	}
	return err
}

// prepare has the handler build what a program is to become.
func (p *plan) prepare(ctx context.Context, d Deployment, code codeVersion) error {
	d.Message = p.record.Message.ItemHash
	d.CodeRef, d.CodeHash, d.CodePath = code.Store, code.File, p.node.blobs.Path(code.File)
	change, err := p.node.options.Programs.Prepare(ctx, d)
	if err != nil {
		return err
	}
	p.changes = append(p.changes, change)
	return nil
}

// program plans a PROGRAM: a new program, or new settings of one that it replaces. Those whose runtime is the program get it as it is
// to be in the same transaction.
func (p *plan) program(ctx context.Context, c *Program) error {
	n, hash := p.node, p.record.Message.ItemHash
	root, code, err := n.codeOf("content.code.ref", c.Code.Ref)
	if err != nil {
		return err
	}
	runtime, err := n.runtimeOf(c.Runtime, amendment{})
	if err != nil {
		return err
	}
	id := hash
	if c.Replaces != "" {
		id = c.Replaces
	}
	p.lock(lockCode, append(runtime.names(), root, id)...) // the id: as a runtime
	followers, err := n.followersOf(id)
	if err != nil {
		return err
	}
	p.lock(lockProgram, slices.Concat(followers, runtime.names(), []string{id})...)
	if runtime, err = n.lockedRuntime(c.Runtime, runtime, id); err != nil {
		return err
	}
	latest, err := n.latestCode("content.code.ref", root, c.Code.Ref)
	if err != nil {
		return err
	}
	if c.Code.UseLatest {
		code = latest
	}
	state := &programState{Owner: c.Address}
	if c.Replaces != "" {
		if state, err = n.programToReplace(c); err != nil {
			return err
		}
	}
	before := state.follows()
	state.Messages, state.Time, state.Code = appendBounded(state.Messages, hash), c.Time, root
	state.from(runtime)
	p.write(func(tx *kv.Txn) error { return saveProgram(tx, id, before, state) })
	err = p.prepare(ctx, Deployment{Program: id, Owner: state.Owner, Content: c, Time: c.Time, Runtime: runtime.moduleOf()}, code)
	if err != nil {
		return err
	}
	return p.updateFollowers(ctx, id, c, amendment{program: id, content: c})
}

// codeOf is the version of a file that a STORE holds, and the item hash of the first STORE of that file. A STORE that has
// not come is waited for.
func (n *Node) codeOf(field, ref string) (root string, version codeVersion, err error) {
	r, err := n.reference(field, ref)
	if err != nil {
		return "", codeVersion{}, err
	}
	if r.Message.Type != TypeStore {
		return "", codeVersion{}, reject(CodeRefNotFound, field, "%s is a %s message, not a STORE", ref, r.Message.Type).
			hint(field[len("content."):] + " must be the item hash of the STORE message with the code")
	}
	var store Store
	if err := n.readContent(r.Message, &store); err != nil {
		return "", codeVersion{}, err
	}
	root = ref
	if store.Ref != "" {
		root = store.Ref
	}
	return root, codeVersion{Store: ref, File: store.ItemHash, Time: store.Time}, nil
}

// latestCode is the latest version of a file, and makes sure that ref, one of its versions, was not forgotten before the
// file was locked.
func (n *Node) latestCode(field, root, ref string) (version codeVersion, err error) {
	err = n.db.View(func(tx *kv.Txn) error {
		code, found, err := load[codeState](tx, codeKey(root))
		if err != nil {
			return err
		}
		r, _, err := load[Record](tx, messageKey(ref))
		if err != nil {
			return err
		}
		if !found || r == nil || r.Status != StatusProcessed {
			return reject(CodeRefNotFound, field, "message %s is forgotten", ref)
		}
		version = code.latest()
		return nil
	})
	return version, err
}

// programToReplace is the program that a PROGRAM changes. It is locked.
func (n *Node) programToReplace(c *Program) (*programState, error) {
	err := n.db.View(func(tx *kv.Txn) error {
		target, err := n.target(tx, "content.replaces", c.Replaces, TypeProgram)
		if err != nil {
			return err
		}
		if !sameAddress(target.Owner, c.Address) {
			return reject(CodePermissionDenied, "content.replaces", "%s belongs to %s", c.Replaces, target.Owner)
		}
		_, isProgram, err := load[programState](tx, programKey(c.Replaces))
		if err == nil && !isProgram {
			err = reject(CodeAmendNotAllowed, "content.replaces", "%s replaces another PROGRAM itself", c.Replaces).
				hint("replaces must be the program's id: the item hash of its first PROGRAM")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	state, current, err := n.programInForce(c.Replaces)
	if err != nil {
		return nil, err
	}
	if !current.AllowAmend {
		return nil, reject(CodeAmendNotAllowed, "content.replaces", "%s was deployed with allow_amend: false", c.Replaces).
			hint("its code can still change, by a STORE with ref; for new settings deploy another program")
	}
	if c.Time < state.Time {
		return nil, reject(CodeSuperseded, "content.time", "%.3f is before %.3f, the time of the PROGRAM in force", c.Time, state.Time)
	}
	return state, nil
}
