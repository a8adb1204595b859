package main

import (
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// A new constant needs an entry in a table: nothing else makes it known to users.
func TestConstantsAreInTheTables(t *testing.T) {
	var keys, reasons []string
	for _, a := range api.Annotations() {
		keys = append(keys, a.Key)
	}
	for _, k := range api.Written() {
		keys = append(keys, k.Key)
	}
	for _, e := range allEvents() {
		if slices.Contains(reasons, e.Reason) {
			t.Errorf("the reason %s has two entries", e.Reason)
		}
		reasons = append(reasons, e.Reason)
	}
	contract, rules := constants(t, "api"), constants(t, "election")
	compare := func(what string, declared, known []string) {
		t.Helper()
		if len(declared) == 0 {
			t.Errorf("no constant of a %s is found", what)
		}
		for _, value := range declared {
			if !slices.Contains(known, value) {
				t.Errorf("the %s %q is a constant without an entry in a table", what, value)
			}
		}
	}
	compare("key", slices.Concat(prefixed(contract, "Annotation"), prefixed(contract, "Label")), keys)
	compare("reason", prefixed(contract, "Reason"), reasons)
	var ofElections []string
	for _, c := range rules {
		if named, ok := c.Type().(*types.Named); ok && named.Obj().Name() == "Reason" {
			ofElections = append(ofElections, constant.StringVal(c.Val()))
		}
	}
	compare("reason", ofElections, reasons)
}

func TestTablesSayWhereToReadOn(t *testing.T) {
	var pages []string
	for _, a := range api.Annotations() {
		pages = append(pages, a.See)
	}
	for _, e := range allEvents() {
		pages = append(pages, e.See)
	}
	for _, page := range pages {
		file, _, _ := strings.Cut(page, "#")
		if _, err := os.Stat(filepath.Join(root, "docs", file)); err != nil {
			t.Error(err)
		}
	}
}

func prefixed(constants []*types.Const, prefix string) (values []string) {
	for _, c := range constants {
		if strings.HasPrefix(c.Name(), prefix) {
			values = append(values, constant.StringVal(c.Val()))
		}
	}
	return values
}

// constants returns the exported constants of a package of the project.
func constants(t *testing.T, name string) (found []*types.Const) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, "pkg", name, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	// The constants that matter need no import, so errors of imports do not matter.
	config := types.Config{Importer: importer.Default(), Error: func(error) {}}
	pkg, _ := config.Check(name, set, files, nil)
	for _, name := range pkg.Scope().Names() {
		if c, ok := pkg.Scope().Lookup(name).(*types.Const); ok && c.Exported() && c.Val().Kind() == constant.String {
			found = append(found, c)
		}
	}
	return found
}
