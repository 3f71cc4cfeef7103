package bundle

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// installed reads what uv or pip put into a folder, without what no program needs there: the installer's notes, commands,
// bytecode that was made elsewhere, and native code, which cannot be loaded.
func installed(folder string) (files, error) {
	all := files{}
	tree := os.DirFS(folder)
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		beside := path.Dir(name) == "." // of the packages
		switch {
		case name == ".":
			return nil
		case entry.IsDir() && (entry.Name() == bytecodeFolder || beside && (name == "bin" || strings.HasSuffix(name, ".libs"))):
			return fs.SkipDir
		case !entry.Type().IsRegular(), beside && strings.HasPrefix(name, "."), isNative(name), isInstallers(name):
			return nil
		}
		all[name], err = fs.ReadFile(tree, name)
		return err
	})
	return all, err
}

// isNative says whether a file is native code, or its source.
func isNative(name string) bool {
	switch path.Ext(name) {
	case ".so", ".pyd", ".dylib", ".dll", ".exe", ".pyx", ".pxd":
		return true
	}
	return false
}

// isInstallers says whether a file is the installer's own: importlib.metadata does without.
func isInstallers(name string) bool {
	if !strings.HasSuffix(path.Dir(name), ".dist-info") {
		return false
	}
	switch path.Base(name) {
	case "RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json":
		return true
	}
	return false
}

// runsAnywhere says whether a wheel's metadata (its file WHEEL) is of one that is for no system in particular.
func runsAnywhere(metadata string) bool {
	for line := range strings.Lines(metadata) {
		if tag, ok := strings.CutPrefix(strings.TrimSpace(line), "Tag: "); ok && !strings.HasSuffix(tag, "-any") {
			return false
		}
	}
	return true
}

// distribution is an installed package: its name and version as its folder of metadata has them.
type distribution struct{ name, version string }

// info is its folder of metadata.
func (d distribution) info() string { return d.name + "-" + d.version + ".dist-info" }

// distributions lists the packages among installed files, by their name as packaging.python.org normalises it.
func (all files) distributions() map[string]distribution {
	found := map[string]distribution{}
	for name := range all {
		folder, ok := strings.CutSuffix(path.Dir(name), ".dist-info")
		if !ok || path.Base(name) != "METADATA" {
			continue
		}
		if name, version, ok := strings.Cut(folder, "-"); ok {
			found[normalise(name)] = distribution{name, version}
		}
	}
	return found
}

var separators = regexp.MustCompile(`[-_.]+`)

// normalise is a package's name as indexes compare it (PEP 503).
func normalise(name string) string { return strings.ToLower(separators.ReplaceAllString(name, "-")) }

// recorded are those of the files that a package's RECORD lists.
func (all files) recorded(record []byte) files {
	own := files{}
	for line := range strings.Lines(string(record)) {
		name, _, _ := strings.Cut(line, ",")
		if content, ok := all[strings.Trim(name, `"`)]; ok {
			own[strings.Trim(name, `"`)] = content
		}
	}
	return own
}

// pureWheel writes a wheel of installed files that have lost their native code, one that runs anywhere, into a folder.
func pureWheel(all files, d distribution, folder string) error {
	info := d.info() + "/"
	all[info+"WHEEL"] = []byte("Wheel-Version: 1.0\nGenerator: aleph\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
	var record strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		sum := sha256.Sum256(all[name])
		fmt.Fprintf(&record, "%s,sha256=%s,%d\n", name, base64.RawURLEncoding.EncodeToString(sum[:]), len(all[name]))
	}
	fmt.Fprintf(&record, "%sRECORD,,\n", info)
	all[info+"RECORD"] = []byte(record.String())
	file, err := os.Create(filepath.Join(folder, d.name+"-"+d.version+"-py3-none-any.whl"))
	if err != nil {
		return err
	}
	defer file.Close()
	archive := zip.NewWriter(file)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		entry, err := archive.Create(name)
		if err != nil {
			return err
		}
		if _, err := entry.Write(all[name]); err != nil {
			return err
		}
	}
	return archive.Close()
}
