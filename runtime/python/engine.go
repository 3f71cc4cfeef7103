package python

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"

	"github.com/klauspost/compress/zstd"
)

//go:embed python3.11.wasm.zst
var artifact311 []byte

//go:embed python3.13.wasm.zst
var artifact313 []byte

//go:embed prelude/*.py prelude/_aleph_runtime/*.py
var prelude embed.FS

// maxModuleSize bounds what an artifact may decompress to, in bytes.
const maxModuleSize = 64 << 20

// An Engine is one version of CPython.
type Engine struct {
	name     string
	runtimes []string
	artifact []byte
}

// Engines returns the engines, the oldest first. Python 3.9 and 3.10 have no WebAssembly port of their own: their programs run
// on 3.11.
func Engines() []*Engine {
	return []*Engine{
		{name: "python3.11", runtimes: []string{"python3.9", "python3.10", "python3.11"}, artifact: artifact311},
		{name: "python3.13", runtimes: []string{"python3.13"}, artifact: artifact313},
	}
}

// Name is python3.11 or python3.13.
func (e *Engine) Name() string { return e.name }

// Runtimes returns the names under which programs ask for the engine.
func (e *Engine) Runtimes() []string { return e.runtimes }

// Version names the engine's module: the hex SHA-256 of its artifact. The files of InitFiles are not in it.
func (e *Engine) Version() string {
	sum := sha256.Sum256(e.artifact)
	return hex.EncodeToString(sum[:])
}

// Module returns the engine as a WebAssembly binary. The caller owns the bytes.
func (e *Engine) Module() ([]byte, error) {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxModuleSize))
	if err != nil {
		return nil, fmt.Errorf("%s engine: %w", e.name, err)
	}
	defer decoder.Close()
	module, err := decoder.DecodeAll(e.artifact, nil)
	if err != nil {
		return nil, fmt.Errorf("%s engine: %w", e.name, err)
	}
	return module, nil
}

// A File is one of the prelude's.
type File struct {
	Path    string // relative, with slashes
	Content []byte
}

// InitFiles returns what aleph_init wants: the prelude, in the order of paths. It is the same for all engines.
func InitFiles() []File {
	var files []File
	for _, folder := range []string{".", "_aleph_runtime"} {
		at := path.Join("prelude", folder)
		entries, err := fs.ReadDir(prelude, at)
		if err != nil {
			panic(err) // the files are in the binary
		}
		for _, entry := range entries {
			if entry.IsDir() {
				continue
			}
			content, err := fs.ReadFile(prelude, path.Join(at, entry.Name()))
			if err != nil {
				panic(err)
			}
			files = append(files, File{Path: path.Join(folder, entry.Name()), Content: content})
		}
	}
	return files
}
