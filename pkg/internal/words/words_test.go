// Package words holds back the phrases that make the project's comments and tests hard to
// read. It has patterns only for what is wrong wherever it stands.
package words

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pattern is a phrase, and what to write instead of it.
type pattern struct {
	phrase  *regexp.Regexp
	instead string
}

var (
	// inComments are the phrases that no comment may have.
	inComments = []pattern{
		{regexp.MustCompile(`(?i)\bsays whether\b`), `"reports whether"`},
		{regexp.MustCompile(`(?i)\bsays? of\b`), "what is known or shown"},
		{regexp.MustCompile(`(?i)\b(that|the) one's\b`), "the subject: the pod's, the Service's"},
		{regexp.MustCompile(`(?i); (nor|which)\b`), "a sentence of its own"},
		{regexp.MustCompile(`(?i)\bany more([.,:;)]|$)`), `"no longer"`},
	}
	// inCases are the phrases that no name of a test case may have. It must be true alone:
	// a failure prints one name, and a map has no order.
	inCases = []pattern{
		{regexp.MustCompile(`(?i)^(and|but|or|nor|also|then|which|(where )?who|as (an?|if|its?|the|they))\b`), "a sentence that is true alone"},
	}
)

// root is the folder of the repository.
const root = "../../.."

// Every Go file of the repository, the nested modules included, is in plain words. To
// count the findings of each package:
//
//	go test ./pkg/internal/words | grep -o '[^ ]*/[a-z_]*\.go:' | xargs -n 1 dirname | sort | uniq -c
func TestWords(t *testing.T) {
	files := 0
	repository := os.DirFS(root)
	err := fs.WalkDir(repository, ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != "." && (strings.HasPrefix(entry.Name(), ".") || slices.Contains([]string{"bin", "testdata", "vendor"}, entry.Name())):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		files++
		source, err := fs.ReadFile(repository, path)
		if err != nil {
			return err
		}
		findings, err := check(path, source)
		for _, finding := range findings {
			t.Error(finding)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 100 {
		t.Errorf("only %d files were found below %s", files, root)
	}
}

// check returns the findings in a Go file, each with its place.
func check(path string, source []byte) (findings []string, err error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	look := func(at token.Pos, text string, patterns []pattern) {
		for _, p := range patterns {
			if phrase := p.phrase.FindString(text); phrase != "" {
				position := set.Position(at)
				findings = append(findings, fmt.Sprintf("%s:%d: write %s instead of %q", position.Filename, position.Line, p.instead, phrase))
			}
		}
	}
	for _, group := range file.Comments {
		// A phrase may begin on one line and end on the next.
		look(group.Pos(), strings.Join(strings.Fields(group.Text()), " "), inComments)
	}
	if !strings.HasSuffix(path, "_test.go") {
		return findings, nil
	}
	ast.Inspect(file, func(n ast.Node) bool {
		for _, name := range cases(n) {
			// A literal always has a value.
			text, _ := strconv.Unquote(name.Value)
			look(name.Pos(), text, inCases)
		}
		return true
	})
	return findings, nil
}

// cases returns the names of test cases that a node has: the keys of a map, and the first
// argument of Run.
func cases(n ast.Node) (names []*ast.BasicLit) {
	add := func(e ast.Expr) {
		if sum, ok := e.(*ast.BinaryExpr); ok {
			e = sum.X
		}
		if text, ok := e.(*ast.BasicLit); ok && text.Kind == token.STRING {
			names = append(names, text)
		}
	}
	switch n := n.(type) {
	case *ast.CompositeLit:
		if _, ok := n.Type.(*ast.MapType); !ok {
			return nil
		}
		for _, element := range n.Elts {
			if pair, ok := element.(*ast.KeyValueExpr); ok {
				add(pair.Key)
			}
		}
	case *ast.CallExpr:
		if called, ok := n.Fun.(*ast.SelectorExpr); ok && called.Sel.Name == "Run" && len(n.Args) == 2 {
			add(n.Args[0])
		}
	}
	return names
}

func TestCheck(t *testing.T) {
	const comment, test = "package p\n\n// %s\nvar x int\n", "package p\n\nvar tests = %s\n"
	for name, c := range map[string]struct {
		path, source string
		// want are the findings, without what to write instead.
		want []string
	}{
		"a predicate must not say whether":             {"a.go", fmt.Sprintf(comment, "x says whether it is"), []string{`a.go:3: "says whether"`}},
		"a predicate may report whether":               {"a.go", fmt.Sprintf(comment, "x reports whether it is"), nil},
		"a phrase may be on two lines":                 {"a.go", fmt.Sprintf(comment, "x says\n// whether it is"), []string{`a.go:3: "says whether"`}},
		"a comment in a function is a comment":         {"a.go", "package p\n\nfunc f() {\n\t// It Says whether.\n}\n", []string{`a.go:4: "Says whether"`}},
		"a comment must not say something of a thing":  {"a.go", fmt.Sprintf(comment, "what a pod says of itself"), []string{`a.go:3: "says of"`}},
		"a comment must not have that one's":           {"a.go", fmt.Sprintf(comment, "that one's pod"), []string{`a.go:3: "that one's"`}},
		"a clause must not begin with nor":             {"a.go", fmt.Sprintf(comment, "none is; nor was one"), []string{`a.go:3: "; nor"`}},
		"a clause must not begin with which":           {"a.go", fmt.Sprintf(comment, "none is; which is why"), []string{`a.go:3: "; which"`}},
		"a comment must not end with any more":         {"a.go", fmt.Sprintf(comment, "it is not so any more."), []string{`a.go:3: "any more."`}},
		"a comment may tell of any more pods":          {"a.go", fmt.Sprintf(comment, "without any more pods"), nil},
		"a comment may have several findings":          {"a.go", fmt.Sprintf(comment, "x says whether it is so any more."), []string{`a.go:3: "says whether"`, `a.go:3: "any more."`}},
		"a string that is no test case may say it":     {"a_test.go", fmt.Sprintf(test, `"and it says whether"`), nil},
		"a key of a map must be true alone":            {"a_test.go", fmt.Sprintf(test, `map[string]int{"one": 1, "and two": 2}`), []string{`a_test.go:3: "and"`}},
		"a key of a map must not begin with a capital": {"a_test.go", fmt.Sprintf(test, `map[string]int{"But two": 2}`), []string{`a_test.go:3: "But"`}},
		"a key of a map may begin with such letters":   {"a_test.go", fmt.Sprintf(test, `map[string]int{"android": 1, "assets": 2}`), nil},
		"a key of a map may have a conjunction in it":  {"a_test.go", fmt.Sprintf(test, `map[string]int{"one and two": 3}`), nil},
		"a key of a map outside of tests may be any":   {"a.go", fmt.Sprintf(test, `map[string]int{"and": 1}`), nil},
		"a key of a map may be made of several":        {"a_test.go", fmt.Sprintf(test, `map[string]int{"nor " + x: 1}`), []string{`a_test.go:3: "nor"`}},
		"a key of a map must not begin with as it":     {"a_test.go", fmt.Sprintf(test, `map[string]int{"as it is": 1}`), []string{`a_test.go:3: "as it"`}},
		"a key of a map may begin with as many":        {"a_test.go", fmt.Sprintf(test, `map[string]int{"as many pods as before": 1}`), nil},
		"a key of a map must not begin with where who": {"a_test.go", fmt.Sprintf(test, `map[string]int{"where who leads": 1}`), []string{`a_test.go:3: "where who"`}},
		"a field of a struct may have any name":        {"a_test.go", fmt.Sprintf(test, `point{which: "and"}`), nil},
		"a name that is run must be true alone":        {"a_test.go", fmt.Sprintf(test, `t.Run("or else", nil)`), []string{`a_test.go:3: "or"`}},
	} {
		t.Run(name, func(t *testing.T) {
			findings, err := check(c.path, []byte(c.source))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, finding := range findings {
				place, _, _ := strings.Cut(finding, " write ")
				_, phrase, _ := strings.Cut(finding, " instead of ")
				got = append(got, place+" "+phrase)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := check("a.go", []byte("package")); err == nil {
		t.Error("a file that cannot be parsed has no error")
	}
}
