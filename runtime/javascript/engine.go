// Package javascript is the JavaScript engine: quickjs-ng with a web prelude, compiled to WebAssembly, as a guest of the
// contract in abi/SPEC.md. engine/ has its sources and the script that builds it.
package javascript

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

//go:embed javascript.wasm.zst
var artifact []byte

// maxModuleSize bounds what the artifact may decompress to, in bytes.
const maxModuleSize = 64 << 20

// Runtimes returns the names under which programs ask for this engine. They all mean the same one: the language of the
// newest, without its npm and node: modules.
func Runtimes() []string {
	return []string{"nodejs16", "nodejs18", "nodejs20"}
}

// Version names the engine in the keys of images: the hex SHA-256 of the artifact, prelude included.
func Version() string {
	sum := sha256.Sum256(artifact)
	return hex.EncodeToString(sum[:])
}

// Module returns the engine as a WebAssembly binary. The caller owns the bytes.
func Module() ([]byte, error) {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxModuleSize))
	if err != nil {
		return nil, fmt.Errorf("javascript engine: %w", err)
	}
	defer decoder.Close()
	module, err := decoder.DecodeAll(artifact, nil)
	if err != nil {
		return nil, fmt.Errorf("javascript engine: %w", err)
	}
	return module, nil
}
