package programs

import (
	"errors"
	"os"
	"path/filepath"
	"sync"

	"github.com/aleph-edge/aleph-edge/runtime/image"
	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// A cache keeps machine code and images as files named by what they were made from. What is lost is made again.
type cache struct {
	engine *wasm.Engine
	folder string

	mu      sync.Mutex
	modules map[string]*loaded

	bases bases // stored runtimes
}

type loaded struct {
	module *wasm.Module
	uses   int
}

func openCache(engine *wasm.Engine, folder string) (*cache, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	return &cache{engine: engine, folder: folder, modules: map[string]*loaded{}, bases: bases{open: map[string]*openBase{}}}, nil
}

func (c *cache) codePath(key string) string  { return filepath.Join(c.folder, key+".code") }
func (c *cache) imagePath(key string) string { return filepath.Join(c.folder, key+".image") }

// compile writes the module's machine code under the key, unless it is there.
func (c *cache) compile(key string, module []byte) error {
	if _, err := os.Stat(c.codePath(key)); err == nil {
		return nil
	}
	code, err := c.engine.Compile(module)
	if err != nil {
		return err
	}
	return image.WriteFile(c.codePath(key), code)
}

// load gives the module under the key; release gives it back. Modules are shared.
func (c *cache) load(key string) (module *wasm.Module, release func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.modules[key]
	if l == nil {
		module, err := c.engine.Load(c.codePath(key))
		if err != nil {
			return nil, nil, err
		}
		l = &loaded{module: module}
		c.modules[key] = l
	}
	l.uses++
	return l.module, sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if l.uses--; l.uses == 0 {
			delete(c.modules, key)
			l.module.Close()
		}
	}), nil
}

// image opens the image under the key, which was made over base.
func (c *cache) image(key string, base *wasm.Image) (*wasm.Image, error) {
	return image.Open(c.engine, c.imagePath(key), base)
}

// remove removes the files under the key, if they are there.
func (c *cache) remove(key string) {
	os.Remove(c.codePath(key))
	os.Remove(c.imagePath(key))
}

// keep removes the files of no key in keys.
func (c *cache) keep(keys map[string]bool) error {
	entries, err := os.ReadDir(c.folder)
	for _, entry := range entries {
		name := entry.Name()
		if ext := filepath.Ext(name); (ext == ".code" || ext == ".image") && keys[name[:len(name)-len(ext)]] {
			continue
		}
		err = errors.Join(err, os.Remove(filepath.Join(c.folder, name)))
	}
	return err
}
