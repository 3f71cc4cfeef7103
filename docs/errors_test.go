package docs

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/aleph-edge/aleph-edge/network"
)

var update = flag.Bool("update", false, "write the generated documents anew")

// TestGeneratedErrors compares errors.md with the tables it is made from.
func TestGeneratedErrors(t *testing.T) {
	const name = "errors.md"
	want := errorsDocument(t)
	if *update {
		if err := os.WriteFile(name, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Errorf("docs/%s is not what the code's tables say; make tidy writes it anew", name)
	}
}

func errorsDocument(t *testing.T) []byte {
	var b bytes.Buffer
	b.WriteString(`# Errors

<!-- Written by make tidy from abi/errors.go and network/rejection.go. -->

Every error of a node has one form:

` + "```json" + `
{"error":{"code":"…","message":"…","hint":"…","request_id":"…"}}
` + "```" + `

*code* is stable: decide on it. *message* says what was wrong and, where a limit was hit, names it with its value, as
` + "`memory_limit: 128 MiB`" + `. *hint* says what to do; *request_id* is the one in the program's log and in the header
` + "`Aleph-Request-Id`" + `. Either is left out where there is none. A stack is never in an answer, only in the program's log. Answers with
status 503 have a ` + "`Retry-After`" + `.

A program's own replies, whatever their status, are the program's: they have no such form unless it made one.

## Calling and managing programs

Those with status 422 say why code was not deployed. They come as ` + "`details.code`" + ` of a rejected message, and from
` + "`aleph program deploy`" + `. 499 is only counted: nobody is there to read it.

| code | status | message | hint |
|---|---|---|---|
`)
	for _, e := range errorTable(t) {
		fmt.Fprintf(&b, "| `%s` | %d | %s | %s |\n", e.code, e.status, cell(e.text), cell(e.hint))
	}
	b.WriteString(`
## Messages, uploads and signed requests

| code | status | when |
|---|---|---|
`)
	for _, r := range rejectionTable(t) {
		fmt.Fprintf(&b, "| `%s` | %d | %s |\n", r.code, (&network.Rejection{Code: r.code}).Status(), cell(r.comment))
	}
	return b.Bytes()
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// errorRow is a row of the table of errors.
type errorRow struct {
	code       string
	status     int
	text, hint string
}

// errorTable reads the rows in the order in which they stand in abi/errors.go.
func errorTable(t *testing.T) []errorRow {
	t.Helper()
	var rows []errorRow
	ast.Inspect(parse(t, "../abi/errors.go"), func(n ast.Node) bool {
		literal, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		if kind, ok := literal.Type.(*ast.Ident); !ok || kind.Name != "Error" || len(literal.Elts) != 4 {
			return true
		}
		values := make([]string, len(literal.Elts))
		for i, element := range literal.Elts {
			basic, ok := element.(*ast.BasicLit)
			if !ok {
				t.Fatalf("abi/errors.go: a row has something else than a literal: %v", element)
			}
			values[i] = basic.Value
			if basic.Kind == token.STRING {
				var err error
				if values[i], err = strconv.Unquote(basic.Value); err != nil {
					t.Fatal(err)
				}
			}
		}
		status, err := strconv.Atoi(values[1])
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, errorRow{values[0], status, values[2], values[3]})
		return true
	})
	if len(rows) == 0 {
		t.Fatal("abi/errors.go has no rows")
	}
	seen := map[string]bool{}
	for _, r := range rows {
		if seen[r.code] {
			t.Errorf("abi/errors.go has two rows %s", r.code)
		}
		seen[r.code] = true
	}
	return rows
}

// rejectionRow is a code of package network.
type rejectionRow struct{ code, comment string }

// rejectionTable reads the constants Code… and the comments behind them from network/rejection.go.
func rejectionTable(t *testing.T) []rejectionRow {
	t.Helper()
	var rows []rejectionRow
	ast.Inspect(parse(t, "../network/rejection.go"), func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Names) != 1 || !strings.HasPrefix(spec.Names[0].Name, "Code") {
			return true
		}
		basic, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			return true
		}
		code, err := strconv.Unquote(basic.Value)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, rejectionRow{code, strings.TrimSpace(spec.Comment.Text())})
		return true
	})
	if len(rows) == 0 {
		t.Fatal("network/rejection.go has no codes")
	}
	return rows
}

func parse(t *testing.T, name string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return file
}
