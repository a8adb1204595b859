package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// Read reads results.json; a file that does not exist is an empty one.
func Read(path string) (f File, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal(text, &f); err != nil {
		return f, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// Write writes results.json.
func (f File) Write(path string) error {
	text, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o600)
}

// Replace puts a scenario's results in the place of those that were there.
// Scenarios come in the given order. Others are dropped, and so are results that
// were measured on something else than the header says now.
func (f *File) Replace(header Header, order []string, measured []Result) {
	if f.Header != header {
		f.Header, f.Results = header, nil
	}
	of := map[string][]Result{}
	for _, r := range f.Results {
		of[r.Scenario] = append(of[r.Scenario], r)
	}
	f.Results = nil
	for _, scenario := range order {
		mine := slices.DeleteFunc(slices.Clone(measured), func(r Result) bool { return r.Scenario != scenario })
		if len(mine) == 0 {
			mine = of[scenario]
		}
		f.Results = append(f.Results, mine...)
	}
}
