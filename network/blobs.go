package network

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Blobs keeps files by the SHA-256 of their bytes, one file each in a folder. A blob appears whole or not at all, and
// once Put returns it survives a crash of the machine.
//
// A blob that no message has claimed yet is loose: at most looseBytes of those are kept, the oldest go first, and
// opening the node removes them all. So an upload that is never followed by its message costs nothing for long.
type Blobs struct {
	folder     string
	looseBytes int64

	mu    sync.Mutex
	loose []looseBlob // oldest first
	size  int64       // of loose
}

type looseBlob struct {
	hash string
	size int64
}

// temporaryPrefix begins the names of files that are not whole yet.
const temporaryPrefix = ".tmp-"

// openBlobs opens the folder, makes it if it is not there, and removes what a crash left: files that are not whole and
// those that inUse does not know.
func openBlobs(folder string, looseBytes int64, inUse func(hash string) (bool, error)) (*Blobs, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("open blobs: %w", err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("open blobs: %w", err)
	}
	for _, entry := range entries {
		keep := false
		if IsStorageHash(entry.Name()) {
			if keep, err = inUse(entry.Name()); err != nil {
				return nil, fmt.Errorf("open blobs: %w", err)
			}
		} else if !strings.HasPrefix(entry.Name(), temporaryPrefix) {
			continue // not ours
		}
		if keep {
			continue
		}
		if err := os.Remove(filepath.Join(folder, entry.Name())); err != nil {
			return nil, fmt.Errorf("open blobs: %w", err)
		}
	}
	return &Blobs{folder: folder, looseBytes: looseBytes}, nil
}

// Path is where the blob of a hash is, whether it is there or not.
func (b *Blobs) Path(hash string) string { return filepath.Join(b.folder, hash) }

// Has reports whether the blob is there, and its size in bytes.
func (b *Blobs) Has(hash string) (int64, bool) {
	info, err := os.Stat(b.Path(hash))
	if err != nil {
		return 0, false
	}
	return info.Size(), true
}

// Read is the blob's bytes; fs.ErrNotExist if it is not there.
func (b *Blobs) Read(hash string) ([]byte, error) {
	if !IsStorageHash(hash) {
		return nil, fs.ErrNotExist
	}
	return os.ReadFile(b.Path(hash))
}

// Put stores bytes and returns their hash. A new blob is loose until it is held.
func (b *Blobs) Put(content []byte) (hash string, err error) { return b.put(content, false) }

// put is Put; held says whether the blob is held from the start, to be released later.
func (b *Blobs) put(content []byte, held bool) (hash string, err error) {
	sum := sha256.Sum256(content)
	hash = hex.EncodeToString(sum[:])
	if b.keep(hash, held) {
		return hash, nil
	}
	temporary, err := b.write(content)
	if err != nil {
		return "", fmt.Errorf("store blob: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.keepLocked(hash, held) { // another call was faster
		return hash, os.Remove(temporary)
	}
	if err := os.Rename(temporary, b.Path(hash)); err != nil {
		return "", errors.Join(fmt.Errorf("store blob: %w", err), os.Remove(temporary))
	}
	if !held {
		b.loosen(hash, int64(len(content)))
	}
	if err := b.sync(); err != nil {
		return "", fmt.Errorf("store blob: %w", err)
	}
	return hash, nil
}

// write puts bytes on the disk in a temporary file.
func (b *Blobs) write(content []byte) (path string, err error) {
	file, err := os.CreateTemp(b.folder, temporaryPrefix)
	if err != nil {
		return "", err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return "", errors.Join(err, os.Remove(file.Name()))
	}
	return file.Name(), nil
}

// sync puts the folder's entries on the disk.
func (b *Blobs) sync() error {
	folder, err := os.Open(b.folder)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// hold keeps a blob from being removed as a loose one; false if it is not there.
func (b *Blobs) hold(hash string) bool { return b.keep(hash, true) }

// keep reports whether a blob is there, and holds it if held.
func (b *Blobs) keep(hash string, held bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.keepLocked(hash, held)
}

func (b *Blobs) keepLocked(hash string, held bool) bool {
	if _, there := b.Has(hash); !there {
		return false
	}
	if held {
		b.tighten(hash)
	}
	return true
}

// release makes a held blob loose again.
func (b *Blobs) release(hash string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if size, there := b.Has(hash); there {
		b.tighten(hash)
		b.loosen(hash, size)
	}
	return nil
}

// remove deletes a blob.
func (b *Blobs) remove(hash string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tighten(hash)
	if err := os.Remove(b.Path(hash)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove blob: %w", err)
	}
	return nil
}

// loosen adds a blob to the loose ones and removes the oldest of them while there are too many. One that cannot be
// removed is left to the next start.
func (b *Blobs) loosen(hash string, size int64) {
	b.loose = append(b.loose, looseBlob{hash, size})
	b.size += size
	for b.size > b.looseBytes && len(b.loose) > 1 {
		oldest := b.loose[0].hash
		b.tighten(oldest)
		os.Remove(b.Path(oldest))
	}
}

// tighten takes a blob out of the loose ones, if it is one.
func (b *Blobs) tighten(hash string) {
	i := slices.IndexFunc(b.loose, func(blob looseBlob) bool { return blob.hash == hash })
	if i >= 0 {
		b.size -= b.loose[i].size
		b.loose = slices.Delete(b.loose, i, i+1)
	}
}
