package network

import (
	"fmt"

	"github.com/aleph-edge/aleph-edge/kv"
)

// A RuntimeModule is a module that a program's code is given to, where its runtime is a message: a file, or a program whose code is
// the module. Whoever can read the message may use it.
type RuntimeModule struct {
	Of         string            `json:"of,omitempty"` // the runtime of the program that it is; empty of a file
	CodeHash   string            `json:"code_hash"`    // the SHA-256 of the file with the module
	Encoding   string            `json:"encoding"`     // plain or zip
	Entrypoint string            `json:"entrypoint"`
	Variables  map[string]string `json:"variables,omitempty"`
}

// runtimeSource is where a program has its runtime from.
type runtimeSource struct {
	root    string // the first STORE of the module's file
	program string // the id of the program that it is; empty of a file
	follows bool   // it changes with new versions of the file
	module  RuntimeModule
}

// names are those under which others may not change the source, or follow it.
func (r *runtimeSource) names() []string {
	switch {
	case r == nil:
		return nil
	case r.program == "":
		return []string{r.root}
	}
	return []string{r.root, r.program}
}

// moduleOf is the source's module; nil of a runtime that the node has itself.
func (r *runtimeSource) moduleOf() *RuntimeModule {
	if r == nil {
		return nil
	}
	return &r.module
}

// amendment is what a plan puts in force: a file's new version, or a program's new message. What is not in the database yet is
// asked for here.
type amendment struct {
	root    string // the first STORE of the file
	version codeVersion

	program string // its id
	content *Program
}

const runtimeField = "content.runtime.ref"

// runtimeOf finds a program's runtime; nil if the node has it itself, or can say itself that it does not. A message that has not come is
// waited for.
func (n *Node) runtimeOf(r Runtime, amended amendment) (*runtimeSource, error) {
	if n.options.Programs.Runs(r.Ref) || !IsStorageHash(r.Ref) {
		return nil, nil
	}
	if r.UseLatest && r.Ref == amended.program {
		return n.programAsRuntime(r, amended.program, amended.content, amended)
	}
	record, err := n.reference(runtimeField, r.Ref)
	if err != nil {
		return nil, err
	}
	switch record.Message.Type {
	case TypeStore:
		root, version, err := n.codeInForce(runtimeField, r.Ref, r.UseLatest, amended)
		if err != nil {
			return nil, err
		}
		module := RuntimeModule{CodeHash: version.File, Encoding: "plain", Entrypoint: "runtime.wasm"}
		return &runtimeSource{root: root, follows: r.UseLatest, module: module}, nil
	case TypeProgram:
		content := newProgram()
		if err := n.readContent(record.Message, content); err != nil {
			return nil, err
		}
		id := r.Ref
		if content.Replaces != "" {
			id = content.Replaces
		}
		if r.UseLatest && id == amended.program {
			content = amended.content
		} else if r.UseLatest {
			if _, content, err = n.programInForce(id); err != nil {
				return nil, err
			}
		}
		return n.programAsRuntime(r, id, content, amended)
	}
	return nil, reject(CodeRefNotFound, runtimeField, "%s is a %s message, not a PROGRAM or STORE", r.Ref, record.Message.Type).
		hint("runtime.ref is a name of the node's, or the item hash of the PROGRAM or STORE with the module")
}

// programAsRuntime is the runtime that a program with that content is.
func (n *Node) programAsRuntime(r Runtime, id string, content *Program, amended amendment) (*runtimeSource, error) {
	follows := r.UseLatest && content.Code.UseLatest
	root, version, err := n.codeInForce(runtimeField, content.Code.Ref, follows, amended)
	if err != nil {
		return nil, err
	}
	return &runtimeSource{root: root, program: id, follows: follows, module: RuntimeModule{
		Of: content.Runtime.Ref, CodeHash: version.File, Encoding: content.Code.Encoding, Entrypoint: content.Code.Entrypoint, Variables: content.Variables,
	}}, nil
}

// codeInForce is the version of a file that a STORE holds, or its latest.
func (n *Node) codeInForce(field, ref string, useLatest bool, amended amendment) (root string, version codeVersion, err error) {
	if root, version, err = n.codeOf(field, ref); err != nil || !useLatest {
		return root, version, err
	}
	if root == amended.root {
		return root, amended.version, nil
	}
	version, err = n.latestCode(field, root, ref)
	return root, version, err
}

// reference is the record of a message that a PROGRAM needs. One that has not come is waited for.
func (n *Node) reference(field, hash string) (r *Record, err error) {
	err = n.db.View(func(tx *kv.Txn) error {
		var found bool
		r, found, err = load[Record](tx, messageKey(hash))
		switch {
		case err != nil:
			return err
		case found && r.Status == StatusForgotten:
			return reject(CodeRefNotFound, field, "message %s is forgotten", hash)
		case !found || r.Status != StatusProcessed:
			return waiting{waitsForMessage(hash)}
		}
		return nil
	})
	return r, err
}

// lockedRuntime is for a runtime that was found before its names were locked: it finds it again, now that nobody can change it.
func (n *Node) lockedRuntime(r Runtime, before *runtimeSource, program string) (*runtimeSource, error) {
	if before == nil {
		return nil, nil
	}
	now, err := n.runtimeOf(r, amendment{})
	if err != nil {
		return nil, err
	}
	if now.root != before.root || now.program != before.program {
		return nil, fmt.Errorf("the runtime %s was changed at the same moment", r.Ref)
	}
	if now.program == program {
		return nil, reject(CodeInvalidFormat, runtimeField, "a program is not its own runtime")
	}
	return now, nil
}
