// Package document writes what was measured into the project's documents: tables between
// prose that is written by hand, and pictures.
package document

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// File is a file as it should be.
type File struct {
	Path string // relative to the root
	Text []byte
}

// Set is all that is written from one source.
type Set struct {
	// Source is the path of what was measured, and Folder that of the pictures. Both are relative to the root.
	Source, Folder string
	Files          []File
}

// Fill adds the document at the path, with its regions as they should be.
func (s *Set) Fill(root, path string, regions ...Region) error {
	text, err := fs.ReadFile(os.DirFS(root), path)
	if err != nil {
		return err
	}
	for _, r := range regions {
		if text, err = r.replaceIn(text); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	s.Files = append(s.Files, File{Path: path, Text: text})
	return nil
}

// Picture adds a picture.
func (s *Set) Picture(name string, svg []byte) {
	s.Files = append(s.Files, File{Path: s.Folder + "/" + name + ".svg", Text: svg})
}

// Write writes the files, and removes pictures that are not among them.
func (s Set) Write(root string) error {
	for _, f := range s.Files {
		if err := os.WriteFile(filepath.Join(root, f.Path), f.Text, 0o600); err != nil {
			return err
		}
	}
	leftovers, err := s.stale(root)
	if err != nil {
		return err
	}
	for _, path := range leftovers {
		if err := os.Remove(filepath.Join(root, path)); err != nil {
			return err
		}
	}
	return nil
}

// Check returns an error that names each file that Write would change.
func (s Set) Check(root string) error {
	var problems error
	for _, f := range s.Files {
		text, err := fs.ReadFile(os.DirFS(root), f.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			problems = errors.Join(problems, fmt.Errorf("%s is missing", f.Path))
		case err != nil:
			return err
		case !bytes.Equal(text, f.Text):
			problems = errors.Join(problems, fmt.Errorf("%s is not what %s says", f.Path, s.Source))
		}
	}
	leftovers, err := s.stale(root)
	if err != nil {
		return err
	}
	for _, path := range leftovers {
		problems = errors.Join(problems, fmt.Errorf("%s shows what is not in %s", path, s.Source))
	}
	if problems != nil {
		return fmt.Errorf("%w\nrun `make update`", problems)
	}
	return nil
}

// stale returns the pictures of what is no longer measured.
func (s Set) stale(root string) (paths []string, err error) {
	pictures, err := fs.Glob(os.DirFS(root), s.Folder+"/*.svg")
	if err != nil {
		return nil, err
	}
	for _, path := range pictures {
		if !slices.ContainsFunc(s.Files, func(f File) bool { return f.Path == path }) {
			paths = append(paths, path)
		}
	}
	return paths, nil
}
