package network

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestBlobs(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "blobs")
	open := func(needed ...string) *Blobs {
		blobs, err := openBlobs(folder, 100, func(hash string) (bool, error) { return slices.Contains(needed, hash), nil })
		if err != nil {
			t.Fatal(err)
		}
		return blobs
	}
	put := func(b *Blobs, content string) string {
		hash, err := b.Put([]byte(content))
		if err != nil || hash != HashContent(content) {
			t.Fatal(hash, err)
		}
		return hash
	}
	blobs := open()
	held := put(blobs, strings.Repeat("h", 60))
	if !blobs.hold(held) || blobs.hold(HashContent("none")) {
		t.Error("hold")
	}
	loose := put(blobs, strings.Repeat("l", 60))
	put(blobs, strings.Repeat("l", 60))
	last := put(blobs, strings.Repeat("m", 60)) // over 100 bytes of loose ones
	for hash, want := range map[string]bool{held: true, loose: false, last: true} {
		if _, there := blobs.Has(hash); there != want {
			t.Errorf("%s there: %v", hash, there)
		}
	}
	if content, err := blobs.Read(held); err != nil || string(content) != strings.Repeat("h", 60) {
		t.Errorf("%s, %v", content, err)
	}
	for _, name := range []string{temporaryPrefix + "123", "README"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	open(held)
	var left []string
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		left = append(left, entry.Name())
	}
	if want := []string{"README", held}; !slices.Equal(left, want) {
		t.Errorf("after a restart: %v, want %v", left, want)
	}
	if _, err := blobs.Read("../../etc/passwd"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
