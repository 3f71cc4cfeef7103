package network

import (
	"context"
	"fmt"
	"slices"

	"github.com/aleph-edge/aleph-edge/kv"
)

// forget plans a FORGET: its targets lose their content and effects, all of them or none. With a program go the PROGRAM
// messages that replaced it, with the first STORE of a file those that amend it.
//
// ownFiles are those that the FORGET itself needs. They are locked together with its targets' files.
func (p *plan) forget(ctx context.Context, c *Forget, ownFiles []string) error {
	if err := p.node.checkForgettable(c); err != nil {
		return err
	}
	p.lock(lockMessage, c.Hashes...)
	targets, err := p.node.targetsOf(c)
	if err != nil {
		return err
	}
	p.removes = targets.files()
	if err := p.holdFiles(ownFiles, p.removes); err != nil {
		return err
	}
	p.lock(lockCode, targets.codes()...)
	p.lock(lockProgram, targets.programs()...)
	for _, target := range targets {
		if err := p.forgetOne(ctx, target, targets); err != nil {
			return err
		}
	}
	return nil
}

// forgotten is a message that a FORGET names, or one that goes with it.
type forgotten struct {
	field   string // of the FORGET that names it
	record  *Record
	code    string // if it is a STORE in force: the first STORE of its file
	program string // if it is a program's first PROGRAM: the program's id
	partOf  string // if it is a PROGRAM that replaced another: that program's id
}

type forgottenSet []forgotten

func (s forgottenSet) programs() []string {
	return s.collect(func(f forgotten) string { return f.program })
}
func (s forgottenSet) codes() []string { return s.collect(func(f forgotten) string { return f.code }) }

func (s forgottenSet) files() []string {
	var files []string
	for _, target := range s {
		files = append(files, target.record.Files...)
	}
	return files
}

func (s forgottenSet) collect(name func(forgotten) string) []string {
	var names []string
	for _, target := range s {
		if n := name(target); n != "" {
			names = append(names, n)
		}
	}
	return names
}

// checkForgettable refuses unknown messages and FORGETs before anything is locked: see keyLocks.
func (n *Node) checkForgettable(c *Forget) error {
	return n.db.View(func(tx *kv.Txn) error {
		for i, hash := range c.Hashes {
			field := fmt.Sprintf("content.hashes[%d]", i)
			r, found, err := load[Record](tx, messageKey(hash))
			switch {
			case err != nil:
				return err
			case !found:
				return reject(CodeRefNotFound, field, "no message %s is known here", hash)
			case r.Message.Type == TypeForget:
				return reject(CodeAmendNotAllowed, field, "%s is a FORGET itself", hash)
			case r.Owner != "" && !sameAddress(r.Owner, c.Address):
				return reject(CodePermissionDenied, field, "%s belongs to %s", hash, r.Owner)
			case r.Owner == "" && !sameAddress(r.Message.Sender, c.Address): // pending, its content has not come
				return reject(CodePermissionDenied, field, "%s was sent by %s", hash, r.Message.Sender)
			}
		}
		return nil
	})
}

// targetsOf finds the messages that a FORGET names and those that go with them. The named ones are locked.
func (n *Node) targetsOf(c *Forget) (targets forgottenSet, err error) {
	err = n.db.View(func(tx *kv.Txn) error {
		seen := make(map[string]bool)
		for i, hash := range c.Hashes {
			group, err := n.goesWith(tx, hash)
			if err != nil {
				return err
			}
			for _, member := range group {
				if member.record.Status != StatusForgotten && !seen[member.record.Message.ItemHash] {
					seen[member.record.Message.ItemHash] = true
					member.field = fmt.Sprintf("content.hashes[%d]", i)
					targets = append(targets, member)
				}
			}
		}
		return nil
	})
	return targets, err
}

// goesWith is a message and those that cannot stay without it.
func (n *Node) goesWith(tx *kv.Txn, hash string) ([]forgotten, error) {
	r, found, err := load[Record](tx, messageKey(hash))
	if err != nil || !found {
		return nil, notThere(err, messageKey(hash))
	}
	named := forgotten{record: r}
	members := []string{hash}
	if r.Status == StatusProcessed {
		switch r.Message.Type {
		case TypeProgram:
			members, err = n.programMembers(tx, &named)
		case TypeStore:
			members, err = n.codeMembers(tx, &named)
		}
	}
	if err != nil {
		return nil, err
	}
	group := make([]forgotten, 0, len(members))
	for _, member := range members {
		if member == hash {
			group = append(group, named)
			continue
		}
		r, found, err := load[Record](tx, messageKey(member))
		if err != nil || !found {
			return nil, notThere(err, messageKey(member))
		}
		group = append(group, forgotten{record: r})
	}
	return group, nil
}

// programMembers completes a PROGRAM in force: forgetting a program takes all its PROGRAM messages along.
func (n *Node) programMembers(tx *kv.Txn, named *forgotten) ([]string, error) {
	hash := named.record.Message.ItemHash
	program := newProgram()
	if err := n.readContent(named.record.Message, program); err != nil {
		return nil, err
	}
	id := hash
	if program.Replaces != "" {
		id = program.Replaces
	}
	state, found, err := load[programState](tx, programKey(id))
	switch {
	case err != nil:
		return nil, err
	case !found && id == hash:
		return nil, notThere(nil, programKey(id))
	case id == hash:
		named.program = id
		return state.Messages, nil
	case found:
		named.partOf = id
	}
	return []string{hash}, nil
}

// codeMembers completes a STORE in force: forgetting the first STORE of a file takes those that amend it along.
func (n *Node) codeMembers(tx *kv.Txn, named *forgotten) ([]string, error) {
	hash := named.record.Message.ItemHash
	var store Store
	if err := n.readContent(named.record.Message, &store); err != nil {
		return nil, err
	}
	if store.Ref != "" {
		named.code = store.Ref
		return []string{hash}, nil
	}
	named.code = hash
	code, found, err := load[codeState](tx, codeKey(hash))
	if err != nil || !found {
		return nil, notThere(err, codeKey(hash))
	}
	var members []string
	for _, version := range code.Versions {
		members = append(members, version.Store)
	}
	return members, nil
}

// forgetOne plans what forgetting one message changes. Its code and program are locked.
func (p *plan) forgetOne(ctx context.Context, target forgotten, all forgottenSet) error {
	n, hash := p.node, target.record.Message.ItemHash
	switch {
	case target.partOf != "" && !slices.Contains(all.programs(), target.partOf):
		return reject(CodeAmendNotAllowed, target.field, "%s is a change of program %s and stays with it", hash, target.partOf).
			hint("undo it with another PROGRAM that replaces the program, or forget the program")
	case target.program != "":
		if err := n.checkUnused(target.program, "the runtime", target, all.programs()); err != nil {
			return err
		}
		change, err := n.options.Programs.Remove(ctx, target.program)
		if err != nil {
			return err
		}
		p.changes = append(p.changes, change)
		p.write(func(tx *kv.Txn) error { return forgetProgram(tx, target.program) })
	case target.code != "":
		if err := n.checkUnused(target.code, "code", target, all.programs()); err != nil {
			return err
		}
		p.write(func(tx *kv.Txn) error { return forgetCode(tx, target.code, hash) })
	case target.record.Message.Type == TypeAggregate && target.record.Status == StatusProcessed:
		p.write(func(tx *kv.Txn) error { return n.forgetElement(tx, target.record.Message) })
	}
	forgetter := p.record.Message.ItemHash
	p.write(func(tx *kv.Txn) error {
		r, found, err := load[Record](tx, messageKey(hash))
		if err != nil || !found {
			return notThere(err, messageKey(hash))
		}
		message := *r.Message
		message.ItemContent = ""
		return saveMessage(tx, &Record{
			Status: StatusForgotten, Message: &message, Owner: r.Owner, Received: r.Received, ForgottenBy: []string{forgetter},
		})
	})
	return nil
}

// checkUnused refuses to forget code or a runtime that a program needs, unless the program goes in the same FORGET.
func (n *Node) checkUnused(name, as string, target forgotten, programs []string) error {
	return n.db.View(func(tx *kv.Txn) error {
		followers, err := below(tx, followerPrefix(name))
		if err != nil {
			return err
		}
		for _, id := range followers {
			if !slices.Contains(programs, id) {
				return reject(CodeInUse, target.field, "%s is %s of program %s", target.record.Message.ItemHash, as, id).
					hint("forget the program first, or both at once")
			}
		}
		return nil
	})
}

func forgetProgram(tx *kv.Txn, id string) error {
	state, found, err := load[programState](tx, programKey(id))
	if err != nil || !found {
		return notThere(err, programKey(id))
	}
	for _, name := range state.follows() {
		if err := tx.Delete(followerKey(name, id)); err != nil {
			return err
		}
	}
	return tx.Delete(programKey(id))
}

// forgetCode takes a version out of a file's history; with the first one goes the history.
func forgetCode(tx *kv.Txn, root, store string) error {
	if store == root {
		return tx.Delete(codeKey(root))
	}
	code, found, err := load[codeState](tx, codeKey(root))
	if err != nil || !found { // not found: it went with the first one in this transaction
		return err
	}
	code.Versions = slices.DeleteFunc(code.Versions, func(v codeVersion) bool { return v.Store == store })
	return save(tx, codeKey(root), code)
}
