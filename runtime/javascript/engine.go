// Package javascript is the JavaScript engine: quickjs-ng with a web prelude, compiled to WebAssembly, as a guest of the
// contract in abi/SPEC.md. engine/ has its sources and the script that builds it; testdata/ has what it does, as programs.
//
// # Programs
//
// The entrypoint is an ES module, or CommonJS if it has no import or export and uses module.exports, exports or require. Its
// handler is its default export: a function (req, context), or an object with a method fetch(request, env, context) or
// handler(req, context). A program imports its own files by relative paths; npm packages and node: modules are not there yet.
// Timers and the store are for events: a program that arms or awaits them while it loads is refused.
//
// # Requests
//
// req is {method, path, query, headers, body}. A query key given twice is an array; names of headers are in lower case, and
// those given twice are joined by ", " (cookie by "; "). body is null if there is none; the parsed value where the content
// type is JSON; a string if the bytes are UTF-8; else, or where the type is application/octet-stream, image, audio, video or
// font, a Uint8Array. A body that claims to be JSON and is not is its text. req.rawBody is the bytes, whatever the type.
//
// # Replies
//
// undefined is 204. A string is text/plain; bytes are application/octet-stream; a Response is what it says, and so is an
// object whose only keys are status or statusCode, headers and body. All else is application/json, as JSON.stringify writes
// it (null is "null"; functions inside of an object are left out). A function, symbol, BigInt, Map, Set or Error, a cycle, a
// status outside of 200 to 599 and a header with control characters are invalid replies. What is still under way when the
// handler has returned is dropped, but for promises given to fetch's context.waitUntil and jobs that can run at once.
//
// # The store
//
// context.aleph.store: set → {key}, get → the value or null, delete → whether it was there, list → {keys, entries: [{key,
// value}], cursor} with a cursor of null at the end, increment → the number, compareAndSet → whether it was set, watch → the
// next change {key, value, deleted}, or with for await one after another. An operation's error has the node's code.
//
// # Outside
//
// fetch is the platform's, with bodies that are whole; the node resolves, connects, checks addresses and follows redirects. It
// rejects with a TypeError "fetch failed: …" that has the operation's code, or with the reason of an AbortSignal.
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
