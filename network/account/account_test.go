package account

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const (
	testKey     = "1111111111111111111111111111111111111111111111111111111111111111"
	testAddress = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
)

func noEnvironment(string) string { return "" }

func environment(value string) func(string) string {
	return func(name string) string {
		if name == Variable {
			return value
		}
		return ""
	}
}

func TestLoadFromEnvironment(t *testing.T) {
	for _, value := range []string{testKey, "0x" + testKey, " " + testKey + "\n"} {
		home := t.TempDir()
		account, err := Load(environment(value), home)
		if err != nil {
			t.Fatalf("%q: %v", value, err)
		}
		if account.Address != testAddress || account.Source != Variable || account.Created {
			t.Errorf("got %+v", *account)
		}
		if _, err := os.Stat(filepath.Join(home, ".aleph-im")); !os.IsNotExist(err) {
			t.Errorf("a key from the environment touched the home folder: %v", err)
		}
	}
}

func TestLoadRefusesWithoutShowing(t *testing.T) {
	for _, value := range []string{"abc", testKey[:62], testKey + "11", strings.Repeat("ff", 32), strings.Repeat("00", 32), "0x" + strings.Repeat("zz", 32)} {
		_, err := Load(environment(value), t.TempDir())
		if err == nil {
			t.Fatalf("%q was taken", value)
		}
		if strings.Contains(err.Error(), value) {
			t.Errorf("the error shows the key: %v", err)
		}
	}
}

func TestLoadFromFile(t *testing.T) {
	raw, _ := hex.DecodeString(testKey)
	for name, content := range map[string][]byte{
		"raw": raw, "hex": []byte(testKey), "hex with 0x and newline": []byte("0x" + testKey + "\n"),
	} {
		home := t.TempDir()
		path := filepath.Join(home, File)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		account, err := Load(noEnvironment, home)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if account.Address != testAddress || account.Source != path || account.Created {
			t.Errorf("%s: got %+v", name, *account)
		}
		kept, _ := os.ReadFile(path)
		if !bytes.Equal(kept, content) {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

func TestBrokenFileIsNotReplaced(t *testing.T) {
	home := t.TempDir()
	path := filepath.Join(home, File)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("not a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(noEnvironment, home); err == nil || !strings.Contains(err.Error(), path) {
		t.Fatalf("got %v, want an error that names the file", err)
	}
	if kept, _ := os.ReadFile(path); string(kept) != "not a key" {
		t.Error("the file was changed")
	}
}

func TestCreate(t *testing.T) {
	home := t.TempDir()
	var group sync.WaitGroup
	accounts := make([]*Account, 8)
	for i := range accounts {
		group.Go(func() {
			account, err := Load(noEnvironment, home)
			if err != nil {
				t.Error(err)
				return
			}
			accounts[i] = account
		})
	}
	group.Wait()
	if t.Failed() {
		return
	}
	created := 0
	for _, account := range accounts {
		if account.Address != accounts[0].Address {
			t.Fatal("two processes at once got different keys")
		}
		if account.Created {
			created++
		}
	}
	if created != 1 {
		t.Errorf("%d keys made", created)
	}
	path := filepath.Join(home, File)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	folder, err := os.Stat(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 || info.Size() != 32 || folder.Mode().Perm() != 0o700 {
		t.Errorf("file %v with %d bytes, folder %v", info.Mode().Perm(), info.Size(), folder.Mode().Perm())
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestKeyIsNotPrinted(t *testing.T) {
	account, err := Load(environment(testKey), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if text := fmt.Sprintf(format, account); !strings.Contains(text, testAddress) || strings.Contains(text, "D:") {
			t.Errorf("%s prints %s", format, text)
		}
	}
}
