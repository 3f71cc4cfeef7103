package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

//go:embed functions/*.js functions/*.py guests/echo.wasm
var files embed.FS

// program is what is deployed on the node.
type program struct {
	name      string
	file      string   // in the bench folder, or "" with source
	source    []byte   // instead of a file's content
	extension string   // of the file that source is in; the default is .js
	folder    string   // instead of both: in the bench folder
	path      string   // instead of all three: a file
	runtime   string   // the default goes by the file's extension
	memory    int      // MiB
	timeout   int      // seconds
	more      []string // flags of its deploy
}

var (
	echo  = program{name: "echo", file: "guests/echo.wasm", memory: 128, timeout: 60}
	hello = program{name: "hello", file: "functions/hello.js", memory: 128, timeout: 10}
)

const (
	helloWorld = `{"message":"Hello, World!"}`
	helloAlice = `{"message":"Hello, Alice!"}`
)

// node is a running aleph node with an account that deploys on it.
type node struct {
	*process
	lab  *lab
	data string   // its data folder
	key  string   // the account's private key, hex
	wasm string   // the runtime that serves compiled guests
	args []string // of its own
}

// startNode starts a node on a new data folder.
func (l *lab) startNode(ctx context.Context, pin bool, args ...string) (*node, error) {
	data, err := os.MkdirTemp(l.tmp, "data-")
	if err != nil {
		return nil, err
	}
	key := make([]byte, 32)
	rand.Read(key)
	n := &node{lab: l, data: data, key: hex.EncodeToString(key), args: args}
	return n, n.launch(ctx, pin)
}

// prepare has the engines compiled, which a machine does once: the nodes of this run share the cache.
func (l *lab) prepare(ctx context.Context) error {
	n, err := l.startNode(ctx, false)
	if err != nil {
		return err
	}
	defer n.stop()
	for _, p := range []program{hello, helloPython, hello313} {
		if _, err := n.deploy(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// launch starts the node's process on its data folder and waits until it answers.
func (n *node) launch(ctx context.Context, pin bool) error {
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	argv := append([]string{n.lab.aleph, "node", "--listen", addr, "--data", n.data}, append(n.args, n.lab.nodeArgs...)...)
	if n.process, err = n.lab.start("aleph", addr, pin, []string{"ALEPH_CACHE=" + filepath.Join(n.lab.tmp, "cache")}, argv...); err != nil {
		return err
	}
	if err := n.ready(ctx, "/api/v0/node"); err != nil {
		n.stop()
		return err
	}
	if n.wasm == "" {
		n.wasm = n.compiledRuntime()
	}
	return nil
}

// compiledRuntime is the node's runtime for WebAssembly modules: "wasm" if it has one of that name, else the guide's "rust".
func (n *node) compiledRuntime() string {
	var info struct{ Runtimes []string }
	if a, err := get(n.addr, "/api/v0/node"); err == nil && json.Unmarshal(a.body, &info) == nil && slices.Contains(info.Runtimes, "wasm") {
		return "wasm"
	}
	return "rust"
}

// deploy deploys a program by the command line and returns the path that calls it.
func (n *node) deploy(ctx context.Context, p program) (string, error) {
	file := filepath.Join(n.lab.dir, p.folder)
	content, ext, runtime := p.source, cmp.Or(p.extension, ".js"), cmp.Or(p.runtime, "nodejs20")
	if p.file != "" {
		var err error
		if content, err = files.ReadFile(p.file); err != nil {
			return "", err
		}
		ext = filepath.Ext(p.file)
	}
	if ext == ".wasm" {
		runtime = n.wasm
	}
	if p.path != "" {
		file, runtime = p.path, n.wasm
	} else if p.folder == "" {
		file = filepath.Join(n.lab.tmp, p.name+ext)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return "", err
		}
	}
	cmd := n.command(ctx, append([]string{"program", "deploy", "--json", "--name", p.name, "--runtime", runtime,
		"--memory", strconv.Itoa(p.memory), "--timeout", strconv.Itoa(p.timeout), "--file", file}, p.more...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("deploy %s: %w: %s", p.name, err, bytes.TrimSpace(stderr.Bytes()))
	}
	var deployed struct {
		ItemHash string `json:"item_hash"`
	}
	if err := json.Unmarshal(out, &deployed); err != nil || deployed.ItemHash == "" {
		return "", fmt.Errorf("deploy %s: no item_hash in %q", p.name, out)
	}
	return "/api/v0/run/" + deployed.ItemHash, nil
}

// serve starts a node and deploys programs on it; the paths that call them are in their order.
func (l *lab) serve(ctx context.Context, pin bool, programs ...program) (*node, []string, error) {
	n, err := l.startNode(ctx, pin)
	if err != nil {
		return nil, nil, err
	}
	paths := make([]string, len(programs))
	for i, p := range programs {
		if paths[i], err = n.deploy(ctx, p); err != nil {
			n.stop()
			return nil, nil, n.fault(err)
		}
	}
	return n, paths, nil
}

// settle waits until the node has been idle for half a second (it may still build or collect after deploys), for at most 5 s.
func (n *node) settle(ctx context.Context) {
	last, _ := n.usage()
	for range 10 {
		select {
		case <-ctx.Done():
			return
		case <-time.After(500 * time.Millisecond):
		}
		now, err := n.usage()
		if err != nil || now.cpu-last.cpu <= 2*clockTick {
			return
		}
		last = now
	}
}
