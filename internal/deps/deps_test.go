// Package deps holds the test of what each package may import of this module. The table is the architecture: who knows
// whom, and why no more.
package deps

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/aleph-edge/aleph-edge/"

// A rule says which packages of this module a package may import. "x/*" is all below x; "*" is all. The same package's own
// subfolders are always allowed to it, and to nobody else unless they are named.
type rule struct {
	may string
	why string
}

// rules has a row for every package that is not a test. Tests may import what they like.
var rules = map[string]rule{
	"abi":                 {"", "the guest contract is read by everyone, so it knows no one"},
	"runtime/wasm":        {"abi", "it knows memories, modules and operations, not HTTP, programs or languages"},
	"runtime/image":       {"abi runtime/wasm", "an image is captured from a memory; what is in it is not its business"},
	"runtime/wasi":        {"abi runtime/wasm", "it answers a guest's calls from memory and operations; who the guest is is not its business"},
	"runtime/pool":        {"abi runtime/wasm runtime/image", "it hands out instances of any guest, whoever deployed or calls it"},
	"runtime/javascript":  {"abi runtime/wasm runtime/image runtime/pool", "a language is an engine on the guest contract; programs come to it, it does not look for them"},
	"runtime/python":      {"", "the engines are modules and files; who runs them is not their business"},
	"runtime/enginetest":  {"abi kv runtime/wasm runtime/image", "it tests engines below the dispatcher: events go in, operations come out, and the store is real"},
	"kv":                  {"", "the database is below everything that keeps something in it"},
	"kv/kvtest":           {"kv", "it is the contract that every kv.Store is tested against"},
	"logs":                {"", "logs are files of lines; who logs is a name to them"},
	"usage":               {"kv", "it counts records that others hand it, and keeps sums"},
	"queue":               {"abi kv", "it keeps events until they are acknowledged; what made them and what runs them is not its business"},
	"programs":            {"abi kv runtime/* triggers", "a program is code and an image; how it came and what calls it is not its business"},
	"egress":              {"abi", "it makes requests and decides which addresses they reach; who asks is a name to it"},
	"host":                {"abi egress kv logs programs runtime/* triggers usage", "every trigger goes through the dispatcher, so it knows none of them"},
	"triggers":            {"", "it is what a program declares, for whoever reads or writes declarations"},
	"triggers/delivery":   {"abi host kv programs queue triggers", "it is the road from the queue to the dispatcher; what made an event is behind its Formers"},
	"triggers/http":       {"abi host programs triggers", "a trigger makes events and hands them to the dispatcher, the only road into a program"},
	"triggers/schedule":   {"abi kv queue triggers", "it makes events of times and offers them to the queue; who runs them is not its business"},
	"triggers/broker":     {"kv queue triggers triggers/message", "it brings a broker's messages to topics; who hears these is not its business"},
	"triggers/message":    {"abi kv network queue triggers", "it makes events of messages and of posts to topics; what runs them lies behind the queue"},
	"triggers/chain":      {"abi kv queue triggers", "a trigger reads its source and offers events to the queue; who runs them is not its business"},
	"network":             {"kv", "clients sign messages with it; with programs behind it they would carry the WebAssembly engine"},
	"network/account":     {"", "a key and its signatures, for clients and nodes alike"},
	"api":                 {"abi host kv logs network network/account programs queue triggers triggers/delivery triggers/http usage", "it finds the handler of a request; what runs the programs lies behind the handlers"},
	"node":                {"abi api egress host kv logs network network/account programs queue runtime/* triggers triggers/* usage", "it puts the node's parts together; the command line is not one of them"},
	"internal/nodetest":   {"abi internal/client network node", "it is a node and an account for tests of guests: what users have, and nothing behind it"},
	"internal/devchain":   {"", "it is a blockchain for development and tests; who follows it is not its business"},
	"internal/client":     {"abi network network/account triggers", "a client speaks HTTP to a node and shares only the contract with it"},
	"internal/bundle":     {"", "what is uploaded is made of files; who uploads it, and to whom, is not its business"},
	"internal/cli":        {"abi internal/bundle internal/client network network/account triggers", "the commands are a client's; the node comes in as a command made by cmd/aleph"},
	"cmd/aleph":           {"*", "it is the one binary"},
	"cmd/aleph-dev-chain": {"internal/devchain", "a whole blockchain node is a binary of its own, which aleph dev-chain starts"},
	"bench":               {"", "it measures the binary from outside, as it measures the others"},
}

// onlyIn says where a package that is not of this module may be imported, tests included.
var onlyIn = map[string]rule{
	"C":      {"runtime/wasm", "one package owns every pointer that crosses to C"},
	"unsafe": {"runtime/wasm", "one package owns every pointer that crosses to C, and go:linkname needs unsafe, too"},
	"github.com/bytecodealliance/wasmtime-go/v44": {"runtime/wasm", "one package owns the engine; two views of it would each free what the other holds"},
	"github.com/dgraph-io/badger/v4":              {"kv", "there is one database, and what is atomic together goes through it"},
	"github.com/spf13/cobra":                      {"internal/cli cmd/aleph cmd/aleph-dev-chain", "only a command line has flags; a node has a Config"},
}

// far says what a package must not reach through others either.
var far = map[string]rule{
	"internal/cli":    {"runtime/wasm", "a client must not carry the WebAssembly engine"},
	"internal/client": {"runtime/wasm", "a client must not carry the WebAssembly engine"},
	"network":         {"runtime/wasm", "clients import it, and must not carry the WebAssembly engine"},
}

// A file is what one source file imports.
type file struct {
	name    string // from the root of the module
	test    bool
	imports []string
}

// sources reads the imports of every Go file of the module, whatever its build constraints, by folder.
func sources(t *testing.T) map[string][]file {
	t.Helper()
	const root = "../.."
	folders := map[string][]file{}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if base := entry.Name(); base != ".." && (strings.HasPrefix(base, ".") || base == "testdata" || base == "node_modules" || base == "bin") {
				return fs.SkipDir
			}
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil && name != root {
				return fs.SkipDir // a module of its own, which knows nothing of this one
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		if name, err = filepath.Rel(root, name); err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		f := file{name: name, test: strings.HasSuffix(name, "_test.go")}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			f.imports = append(f.imports, imported)
		}
		folders[path.Dir(name)] = append(folders[path.Dir(name)], f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return folders
}

// allowed says whether one of the patterns names the package.
func allowed(patterns, name string) bool {
	for pattern := range strings.FieldsSeq(patterns) {
		below, isFolder := strings.CutSuffix(pattern, "*")
		if pattern == name || isFolder && strings.HasPrefix(name, below) {
			return true
		}
	}
	return false
}

func TestImports(t *testing.T) {
	folders := sources(t)
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		r, known := rules[folder]
		for _, f := range folders[folder] {
			for _, imported := range f.imports {
				if only, ok := onlyIn[imported]; ok && !allowed(only.may, folder) {
					t.Errorf("%s imports %q, which only %s may: %s", f.name, imported, strings.ReplaceAll(only.may, " ", " and "), only.why)
				}
				own, ok := strings.CutPrefix(imported, module)
				if !ok || f.test {
					continue
				}
				switch {
				case !known:
					t.Errorf("%s has no row in the table of internal/deps: say what it may import, and why no more", folder)
					known = true
				case !allowed(r.may, own) && !strings.HasPrefix(own, folder+"/"):
					t.Errorf("%s imports %s; %s may import %s: %s", f.name, own, folder, list(r.may), r.why)
				}
			}
		}
	}
}

func list(patterns string) string {
	if patterns == "" {
		return "nothing of this module"
	}
	return "only " + strings.Join(strings.Fields(patterns), ", ")
}

// TestReach looks at what packages import by way of others.
func TestReach(t *testing.T) {
	folders := sources(t)
	for _, from := range slices.Sorted(maps.Keys(far)) {
		if road := reach(folders, from, far[from].may, map[string]bool{}); road != nil {
			t.Errorf("%s: %s", strings.Join(road, " imports "), far[from].why)
		}
	}
}

// reach is a way from one package to another through imports, or nil.
func reach(folders map[string][]file, from, to string, seen map[string]bool) []string {
	if from == to {
		return []string{to}
	}
	seen[from] = true
	for _, f := range folders[from] {
		for _, imported := range f.imports {
			own, ok := strings.CutPrefix(imported, module)
			if !ok || f.test || seen[own] {
				continue
			}
			if road := reach(folders, own, to, seen); road != nil {
				return append([]string{from}, road...)
			}
		}
	}
	return nil
}

// TestTable keeps the table from naming what is not there.
func TestTable(t *testing.T) {
	folders := sources(t)
	for _, table := range []map[string]rule{rules, far} {
		for folder := range table {
			if _, ok := folders[folder]; !ok {
				t.Errorf("internal/deps has a row for %s, which is no package", folder)
			}
		}
	}
}
