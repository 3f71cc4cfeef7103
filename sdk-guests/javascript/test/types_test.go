// Package test checks the types of functions in JavaScript: with the compiler, and against the engine that runs functions.
package test

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aleph-edge/aleph-edge/internal/nodetest"
)

// TestPrograms has the compiler check types/programs.ts: what it must take, and what it must not.
func TestPrograms(t *testing.T) {
	const compiler = "../node_modules/typescript/bin/tsc"
	if _, err := os.Stat(compiler); err != nil {
		t.Skip("not compiled: npm ci brings the compiler: ", err)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("not compiled: ", err)
	}
	if out, err := exec.CommandContext(t.Context(), node, compiler, "-p", "types").CombinedOutput(); err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
}

// standard are the globals of the language, which the compiler's own library declares.
var standard = strings.Fields(`AggregateError Array ArrayBuffer AsyncDisposableStack BigInt BigInt64Array BigUint64Array Boolean DataView Date DisposableStack
	Error EvalError FinalizationRegistry Float16Array Float32Array Float64Array Function Infinity Int16Array Int32Array Int8Array Iterator JSON Map
	Math NaN Number Object Promise Proxy RangeError ReferenceError Reflect RegExp Set SharedArrayBuffer String SuppressedError Symbol SyntaxError
	TypeError URIError Uint16Array Uint32Array Uint8Array Uint8ClampedArray WeakMap WeakRef WeakSet decodeURI decodeURIComponent encodeURI
	encodeURIComponent escape eval globalThis isFinite isNaN parseFloat parseInt undefined unescape`)

// ours are members that no type has to name: the engine's way to show a value, and what every class has.
var ours = []string{"constructor", "[Symbol.toStringTag]", "[nodejs.util.inspect.custom]"}

// ofFunctions are what every class has as a function.
var ofFunctions = []string{"length", "name", "prototype"}

// A declaration is what the types say of a class, an interface, a variable or a function.
type declaration struct {
	bases            []string
	members, statics []string
}

var (
	opening  = regexp.MustCompile(`^(?:export |declare )*(class|interface) (\w+)(?:<[^{]*?>)?(?: extends (\w+))? \{\}?$`)
	member   = regexp.MustCompile(`^  (static )?(?:readonly )?(?:\[(Symbol\.\w+)\]|(\w+))\??[(<:]`)
	variable = regexp.MustCompile(`^declare var (\w+): (\w+);$`)
	function = regexp.MustCompile(`^declare function (\w+)`)
)

// declared reads a file of types, which has a member a line. values are the globals: of what type they are, or "" where that is all.
func declared(t *testing.T, name string) (types map[string]*declaration, values map[string]string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	types, values = map[string]*declaration{}, map[string]string{}
	var open *declaration
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if m := opening.FindStringSubmatch(line); m != nil {
			if open = types[m[2]]; open == nil {
				open = &declaration{}
				types[m[2]] = open
			}
			if m[3] != "" {
				open.bases = append(open.bases, m[3])
			}
			if m[1] == "class" {
				values[m[2]] = m[2]
			}
		} else if m := member.FindStringSubmatch(line); m != nil && open != nil && m[3] != "constructor" {
			name := m[3]
			if m[2] != "" {
				name = "[" + m[2] + "]"
			}
			if m[1] != "" {
				open.statics = append(open.statics, name)
			} else {
				open.members = append(open.members, name)
			}
		} else if m := variable.FindStringSubmatch(line); m != nil {
			values[m[1]] = m[2]
		} else if m := function.FindStringSubmatch(line); m != nil {
			values[m[1]] = ""
		}
	}
	return types, values
}

// all gives a type's members, with those of what it extends.
func all(types map[string]*declaration, name string) (members []string) {
	d := types[name]
	if d == nil {
		return nil
	}
	for _, base := range d.bases {
		members = append(members, all(types, base)...)
	}
	return append(members, d.members...)
}

// same compares names, without those that are ours.
func same(t *testing.T, what string, engine, types []string) {
	t.Helper()
	tidy := func(names []string) []string {
		names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(ours, n) })
		slices.Sort(names)
		return slices.Compact(names)
	}
	if engine, types := tidy(engine), tidy(types); !slices.Equal(engine, types) {
		t.Errorf("%s:\nthe engine has %q\n   declared are %q", what, engine, types)
	}
}

// call deploys a function and decodes its answer.
func call(t *testing.T, s *nodetest.Site, file string, to any) {
	t.Helper()
	id, err := s.DeployIn("nodejs20", file, nil)
	if err != nil {
		t.Fatal(nodetest.Refusal(err), err)
	}
	if a := s.Call(s.Base+"/api/v0/run/"+id, nil); a.Status != 200 || json.Unmarshal([]byte(a.Body), to) != nil {
		t.Fatalf("%s: %d %.1000s", file, a.Status, a.Body)
	}
}

// TestGlobals: every global of the engine beside the language's own is declared, with its members, and none that it has not.
func TestGlobals(t *testing.T) {
	var engine struct {
		Globals    map[string]struct{ Statics, Members []string }
		Interfaces map[string][]string
	}
	s := nodetest.Start(t)
	call(t, s, "members.js", &engine)
	types, values := declared(t, "../functions/globals.d.ts")
	var there, known []string
	for name := range engine.Globals {
		if !slices.Contains(standard, name) {
			there = append(there, name)
		}
	}
	for name := range values {
		known = append(known, name)
	}
	same(t, "globals", there, known)
	for name, kind := range values {
		d := types[kind]
		if d == nil {
			continue // a function
		}
		has := engine.Globals[name]
		if name == "DOMException" { // its old numbers, which the standard has for the web of the past
			old := regexp.MustCompile(`^[A-Z_]+$`)
			has.Statics, has.Members = slices.DeleteFunc(has.Statics, old.MatchString), slices.DeleteFunc(has.Members, old.MatchString)
		}
		same(t, name, has.Members, all(types, kind))
		same(t, "static "+name, slices.DeleteFunc(has.Statics, func(n string) bool { return slices.Contains(ofFunctions, n) }), d.statics)
	}
	same(t, "Timeout", engine.Interfaces["Timeout"], all(types, "Timeout"))
	same(t, "BodyBytes", engine.Interfaces["BodyBytes"], all(types, "BodyBytes"))
}

// TestInterfaces: what a function is given has the members that are declared.
func TestInterfaces(t *testing.T) {
	types, _ := declared(t, "../functions/index.d.ts")
	s := nodetest.Start(t)
	compared := 0
	for _, file := range []string{"members.js", "plain.js"} {
		var engine struct{ Interfaces map[string][]string }
		call(t, s, file, &engine)
		for name, has := range engine.Interfaces {
			switch name {
			case "Timeout", "BodyBytes": // of TestGlobals
				continue
			case "StoreError": // what every error has is the language's
				has = slices.DeleteFunc(has, func(n string) bool { return n == "stack" || n == "message" || n == "name" })
			}
			same(t, name, has, all(types, name))
			compared++
		}
	}
	if compared != 10 {
		t.Errorf("%d interfaces were compared", compared)
	}
}
