//go:build release

package release

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"qoqo.dev/active-standby-controller/e2e/check/manifest"
)

var (
	dist    = flag.String("dist", "../../dist", "the directory that make release wrote")
	version = flag.String("version", "", "the version of the release")
)

const (
	controller = "active-standby-controller"
	plugin     = "kubectl-active_standby"
)

// read returns a file of the release.
func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(*dist, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

// sums returns the sums of checksums.txt, by the names of the files.
func sums(t *testing.T) map[string]string {
	t.Helper()
	sums := map[string]string{}
	for line := range strings.Lines(string(read(t, "checksums.txt"))) {
		fields := strings.Fields(line)
		if len(fields) != 2 {
			t.Fatalf("checksums.txt has the line %q", line)
		}
		sums[fields[1]] = fields[0]
	}
	return sums
}

func TestTheReleaseIsComplete(t *testing.T) {
	want := []string{
		"active-standby.krew.yaml", "install.yaml", "install-namespaced.yaml", "install-userns.yaml",
		"admission.yaml", "fail-closed.yaml", "monitoring.yaml", "network.yaml", "on-demote.yaml",
		controller + "_" + *version + "_image.tar",
		controller + "-" + strings.TrimPrefix(*version, "v") + ".tgz",
		controller + "-index.spdx.json", controller + "-linux-amd64.spdx.json", controller + "-linux-arm64.spdx.json",
	}
	for _, arch := range []string{"amd64", "arm64"} {
		want = append(want, archive(controller, "linux", arch))
		for _, os := range []string{"linux", "darwin", "windows"} {
			want = append(want, archive(plugin, os, arch))
		}
	}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(sums(t))); !slices.Equal(want, got) {
		t.Errorf("checksums.txt lists\n%q, want\n%q", got, want)
	}
}

func TestChecksumsAreThoseOfTheFiles(t *testing.T) {
	sums := sums(t)
	files, err := os.ReadDir(*dist)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if file.Name() == "checksums.txt" {
			continue
		}
		if got := sum(read(t, file.Name())); sums[file.Name()] != got {
			t.Errorf("%s has the sum %s, and in checksums.txt %q", file.Name(), got, sums[file.Name()])
		}
	}
}

// archive returns the name of the archive with a program for a platform.
func archive(program, os, arch string) string {
	ext := ".tar.gz"
	if os == "windows" {
		ext = ".zip"
	}
	return program + "_" + *version + "_" + os + "_" + arch + ext
}

// untar returns the files of a tar archive, by their names.
func untar(t *testing.T, r io.Reader) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for archive := tar.NewReader(r); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if files[strings.TrimPrefix(path.Clean(header.Name), "/")], err = io.ReadAll(archive); err != nil {
			t.Fatal(err)
		}
	}
}

// unpack returns the files of an archive, by their names.
func unpack(t *testing.T, name string) map[string][]byte {
	t.Helper()
	data := read(t, name)
	if !strings.HasSuffix(name, ".zip") {
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		return untar(t, r)
	}
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, file := range r.File {
		if files[file.Name], err = fs.ReadFile(r, file.Name); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func TestArchivesHaveTheProgramAndTheLicense(t *testing.T) {
	for name := range sums(t) {
		program, rest, ok := strings.Cut(name, "_v")
		if !ok || strings.HasSuffix(name, "_image.tar") {
			continue
		}
		if strings.Contains(rest, "_windows_") {
			program += ".exe"
		}
		if got, want := slices.Sorted(maps.Keys(unpack(t, name))), []string{"LICENSE", program}; !slices.Equal(want, got) {
			t.Errorf("%s has the files %q, want %q", name, got, want)
		}
	}
}

func TestProgramsSayTheirVersion(t *testing.T) {
	for program, arg := range map[string]string{controller: "--version", plugin: "version"} {
		if program == controller && runtime.GOOS != "linux" {
			continue
		}
		file := filepath.Join(t.TempDir(), program)
		if err := os.WriteFile(file, unpack(t, archive(program, runtime.GOOS, runtime.GOARCH))[program], 0o700); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), file, arg).CombinedOutput()
		if err != nil || !strings.Contains(string(out), *version) {
			t.Errorf("%s %s: %v: %s, want %s", program, arg, err, out, *version)
		}
	}
}

// descriptor refers to a blob of an OCI layout.
type descriptor struct {
	Digest   string `json:"digest"`
	Platform struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
	} `json:"platform"`
}

// blob decodes a blob of an OCI layout, whose digest it checks.
func blob(t *testing.T, layout map[string][]byte, digest string, into any) {
	t.Helper()
	data := layout["blobs/"+strings.Replace(digest, ":", "/", 1)]
	if got := "sha256:" + sum(data); got != digest {
		t.Fatalf("the blob %s has the digest %s", digest, got)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

type index struct {
	Manifests []descriptor `json:"manifests"`
}

// image returns the layout of the image, and the digest of its index.
func image(t *testing.T) (map[string][]byte, string) {
	t.Helper()
	layout := untar(t, bytes.NewReader(read(t, controller+"_"+*version+"_image.tar")))
	var top index
	if err := json.Unmarshal(layout["index.json"], &top); err != nil || len(top.Manifests) != 1 {
		t.Fatalf("index.json of the image: %v: %s", err, layout["index.json"])
	}
	return layout, top.Manifests[0].Digest
}

func TestTheImageRunsTheProgramOfTheArchivesAsAnOrdinaryUser(t *testing.T) {
	layout, digest := image(t)
	var platforms index
	blob(t, layout, digest, &platforms)
	if n := len(platforms.Manifests); n != 2 {
		t.Errorf("the image is for %d platforms, want 2", n)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		i := slices.IndexFunc(platforms.Manifests, func(d descriptor) bool {
			return d.Platform.OS == "linux" && d.Platform.Architecture == arch
		})
		if i < 0 {
			t.Errorf("the image is not for linux/%s", arch)
			continue
		}
		var manifest struct {
			Config descriptor   `json:"config"`
			Layers []descriptor `json:"layers"`
		}
		blob(t, layout, platforms.Manifests[i].Digest, &manifest)
		var config struct {
			Config struct {
				User       string            `json:"User"`       //nolint:tagliatelle // Its name in the specification.
				Entrypoint []string          `json:"Entrypoint"` //nolint:tagliatelle // The same.
				Labels     map[string]string `json:"Labels"`     //nolint:tagliatelle // The same.
			} `json:"config"`
		}
		blob(t, layout, manifest.Config.Digest, &config)
		c := config.Config
		if c.User != "65532:65532" {
			t.Errorf("the image for %s runs as %q", arch, c.User)
		}
		for label, value := range labels(t) {
			if c.Labels[label] != value {
				t.Errorf("the image for %s has the label %s=%q, want %q as in the Dockerfile", arch, label, c.Labels[label], value)
			}
		}
		r, err := gzip.NewReader(bytes.NewReader(layout["blobs/"+strings.Replace(manifest.Layers[len(manifest.Layers)-1].Digest, ":", "/", 1)]))
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Entrypoint) != 1 || path.Base(c.Entrypoint[0]) != controller {
			t.Fatalf("the image for %s has the entrypoint %q", arch, c.Entrypoint)
		}
		program := untar(t, r)[strings.TrimPrefix(c.Entrypoint[0], "/")]
		if !bytes.Equal(program, unpack(t, archive(controller, "linux", arch))[controller]) {
			t.Errorf("the image for %s has another program than the archive", arch)
		}
	}
}

// labels returns the labels that the Dockerfile gives an image.
func labels(t *testing.T) map[string]string {
	t.Helper()
	dockerfile, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{}
	for _, match := range regexp.MustCompile(`(org\.opencontainers\.[a-z.]+)="([^"]*)"`).FindAllStringSubmatch(string(dockerfile), -1) {
		labels[match[1]] = strings.ReplaceAll(match[2], "${VERSION}", *version)
	}
	if len(labels) == 0 {
		t.Fatal("the Dockerfile has no labels")
	}
	return labels
}

// objects returns the objects of a manifest.
func objects(t *testing.T, name string) []unstructured.Unstructured {
	t.Helper()
	objects, err := manifest.Objects(string(read(t, name)))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return objects
}

func TestManifestsInstallTheImageOfTheRelease(t *testing.T) {
	_, digest := image(t)
	for _, name := range []string{"install.yaml", "install-namespaced.yaml", "install-userns.yaml"} {
		var images []string
		for _, object := range objects(t, name) {
			containers, _, _ := unstructured.NestedSlice(object.Object, "spec", "template", "spec", "containers")
			for _, container := range containers {
				images = append(images, container.(map[string]any)["image"].(string))
			}
		}
		if len(images) != 1 || !strings.HasSuffix(images[0], "/"+controller+":"+*version+"@"+digest) {
			t.Errorf("%s runs %q, want the version %s and the digest %s", name, images, *version, digest)
		}
	}
}

func TestTheChartInstallsTheVersionOfTheRelease(t *testing.T) {
	var chart struct {
		Version    string `json:"version"`
		AppVersion string `json:"appVersion"`
	}
	plain := strings.TrimPrefix(*version, "v")
	if err := yaml.Unmarshal(unpack(t, controller+"-"+plain+".tgz")[controller+"/Chart.yaml"], &chart); err != nil {
		t.Fatal(err)
	}
	if chart.Version != plain || chart.AppVersion != plain {
		t.Errorf("the chart has the version %s and installs %s, want %s", chart.Version, chart.AppVersion, plain)
	}
}

func TestManifestsHaveWhatTheirNamesSay(t *testing.T) {
	for name, kind := range map[string]string{
		"admission.yaml":          "ValidatingAdmissionPolicy",
		"fail-closed.yaml":        "MutatingAdmissionPolicy",
		"monitoring.yaml":         "PrometheusRule",
		"network.yaml":            "NetworkPolicy",
		"on-demote.yaml":          "ClusterRole",
		"install.yaml":            "ClusterRole",
		"install-namespaced.yaml": "Role",
	} {
		if !slices.ContainsFunc(objects(t, name), func(o unstructured.Unstructured) bool { return o.GetKind() == kind }) {
			t.Errorf("%s has no %s", name, kind)
		}
	}
}

func TestTheManifestForKrewKnowsTheArchives(t *testing.T) {
	var manifest struct {
		Spec struct {
			Version   string `json:"version"`
			Platforms []struct {
				Bin    string `json:"bin"`
				URI    string `json:"uri"`
				Sha256 string `json:"sha256"`
			} `json:"platforms"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(read(t, "active-standby.krew.yaml"), &manifest); err != nil {
		t.Fatal(err)
	}
	if manifest.Spec.Version != *version {
		t.Errorf("it has the version %q, want %q", manifest.Spec.Version, *version)
	}
	if n := len(manifest.Spec.Platforms); n != 6 {
		t.Errorf("it is for %d platforms, want 6", n)
	}
	sums := sums(t)
	for _, platform := range manifest.Spec.Platforms {
		name := path.Base(platform.URI)
		if sums[name] != platform.Sha256 {
			t.Errorf("it has the sum %s of %s, and checksums.txt %q", platform.Sha256, name, sums[name])
		}
		if _, ok := unpack(t, name)[platform.Bin]; !ok {
			t.Errorf("it runs %s, which %s does not have", platform.Bin, name)
		}
	}
}

func TestBillsOfMaterialsNameTheModules(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		var document struct {
			SpdxVersion string `json:"spdxVersion"`
			Packages    []struct {
				Name        string `json:"name"`
				VersionInfo string `json:"versionInfo"`
			} `json:"packages"`
		}
		name := controller + "-linux-" + arch + ".spdx.json"
		if err := json.Unmarshal(read(t, name), &document); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !strings.HasPrefix(document.SpdxVersion, "SPDX-2.") {
			t.Errorf("%s has the version %q", name, document.SpdxVersion)
		}
		found := false
		for _, p := range document.Packages {
			found = found || p.Name == "k8s.io/client-go" && strings.HasPrefix(p.VersionInfo, "v")
		}
		if !found {
			t.Errorf("%s does not name k8s.io/client-go", name)
		}
	}
}
