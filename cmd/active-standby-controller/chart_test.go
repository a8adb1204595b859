package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// chart is the folder of the Helm chart.
const chart = "charts/active-standby-controller"

// The chart renders roles, policies and alerts from copies of what manifests/ has, because a chart can only read what is
// in its own folder.
func TestChartHasTheManifests(t *testing.T) {
	copies := 0
	files := filepath.Join(root, chart, "files")
	err := filepath.WalkDir(files, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		copies++
		name, err := filepath.Rel(files, path)
		if err != nil {
			return err
		}
		manifest, err := os.ReadFile(filepath.Join(root, "manifests", name))
		if err != nil {
			return err
		}
		if *update {
			return os.WriteFile(path, manifest, 0o600)
		}
		copied, err := os.ReadFile(path)
		if diff := cmp.Diff(string(manifest), string(copied)); diff != "" {
			t.Errorf("%s is no copy of manifests/%s; run make update (-manifest +copy):\n%s", path, name, diff)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if copies == 0 {
		t.Errorf("there is no file in %s", files)
	}
}
