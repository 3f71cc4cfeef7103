package wasm

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestDeclarations compiles wasmtime.h together with the headers of the wasmtime-go module: a function that is declared
// differently is an error of the compiler, a type of another size or layout an error here.
func TestDeclarations(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/bytecodealliance/wasmtime-go/v44").Output()
	if err != nil {
		t.Fatal(err)
	}
	include := filepath.Join(strings.TrimSpace(string(dir)), "build", "include")
	types := map[string][]string{
		"wasmtime_val_t": {"kind", "of"}, "wasmtime_val_raw_t": {"i32", "funcref"}, "wasmtime_func_t": {"store_id", "__private"},
		"wasmtime_instance_t": {"store_id", "__private"}, "wasmtime_global_t": {"store_id", "__private3"}, "wasmtime_table_t": {"store_id", "__private2"},
		"wasmtime_extern_t": {"kind", "of"}, "wasmtime_linear_memory_t": {"env", "get_memory", "grow_memory", "finalizer"},
		"wasmtime_memory_creator_t": {"env", "new_memory", "finalizer"}, "wasmtime_stack_memory_t": {"env", "get_stack_memory", "finalizer"},
		"wasmtime_stack_creator_t": {"env", "new_stack", "finalizer"}, "wasmtime_async_continuation_t": {"callback", "env", "finalizer"},
		"wasm_byte_vec_t": {"size", "data"}, "wasm_importtype_vec_t": {"size", "data"}, "wasm_exporttype_vec_t": {"size", "data"},
	}
	constants := []string{"WASM_I32", "WASM_I64", "WASM_EXTERN_FUNC", "WASM_EXTERN_GLOBAL", "WASM_EXTERN_TABLE", "WASM_EXTERN_MEMORY", "WASMTIME_OPT_LEVEL_SPEED",
		"WASMTIME_UPDATE_DEADLINE_YIELD", "WASMTIME_I32", "WASMTIME_I64", "WASMTIME_F32", "WASMTIME_F64", "WASMTIME_V128", "WASMTIME_FUNCREF",
		"WASMTIME_EXTERN_FUNC", "WASMTIME_EXTERN_GLOBAL", "WASMTIME_EXTERN_TABLE"}
	var prints strings.Builder
	for name, fields := range types {
		prints.WriteString(`printf("` + name + ` %zu\n", sizeof(` + name + `));` + "\n")
		for _, field := range fields {
			prints.WriteString(`printf("` + name + "." + field + ` %zu\n", offsetof(` + name + ", " + field + `));` + "\n")
		}
	}
	for _, name := range constants {
		prints.WriteString(`printf("` + name + ` %d\n", (int)` + name + ");\n")
	}
	run := func(headers string, flags ...string) string {
		folder := t.TempDir()
		source := filepath.Join(folder, "sizes.c")
		text := headers + "#include <stdio.h>\nint main(void) {\n" + prints.String() + "return 0; }\n"
		if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		program := filepath.Join(folder, "sizes")
		if out, err := exec.Command("cc", append(flags, "-std=gnu11", "-Wall", "-Werror", "-o", program, source)...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		out, err := exec.Command(program).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	ours := run("#include \"wasmtime.h\"\n", "-I"+here)
	theirs := run("#include <wasm.h>\n#include <wasmtime.h>\n#define ALEPH_WITH_WASMTIME_HEADERS\n#include \""+filepath.Join(here, "wasmtime.h")+"\"\n", "-I"+include)
	if ours != theirs {
		t.Errorf("ours:\n%s\ntheirs:\n%s", ours, theirs)
	}
}
