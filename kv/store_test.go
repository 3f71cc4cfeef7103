package kv_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/kv/kvtest"
)

func TestContract(t *testing.T) {
	for _, name := range []string{"disk", "memory"} {
		t.Run(name, func(t *testing.T) {
			dir := ""
			if name == "disk" {
				dir = t.TempDir()
			}
			db, err := kv.Open(dir, kv.Options{InMemory: dir == ""})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			}()
			var programs atomic.Int64
			kvtest.Run(t, func(t *testing.T, quota kv.Quota) kv.Store {
				return db.Store(fmt.Sprintf("program-%d", programs.Add(1)), quota)
			})
		})
	}
}

func TestUpdateContract(t *testing.T) {
	for name, update := range map[string]kvtest.Update{"Update": (*kv.DB).Update, "GroupUpdate": (*kv.DB).GroupUpdate} {
		t.Run(name, func(t *testing.T) {
			kvtest.RunUpdate(t, func(t *testing.T) *kv.DB {
				db, err := kv.Open(t.TempDir(), kv.Options{})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := db.Close(); err != nil {
						t.Error(err)
					}
				})
				return db
			}, update)
		})
	}
}
