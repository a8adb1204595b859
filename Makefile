# `make help` lists the targets.

# Must be a semantic version with a v: component-base ends the program at any other.
VERSION ?= $(or $(shell git describe --tags --match 'v[0-9]*' --dirty 2>/dev/null),v0.0.0-$(or $(shell git rev-parse --short HEAD 2>/dev/null),unknown))
IMAGE   ?= qoqodev/active-standby-controller:$(VERSION)
# The base image; `scratch` where images cannot be pulled.
BASE    ?= gcr.io/distroless/static:nonroot
BIN     ?= bin
ARCHS   ?= amd64 arm64

GO      ?= go
ARCH    := $(shell $(GO) env GOARCH)
RACE    := $(if $(shell command -v $(firstword $(shell $(GO) env CC)) 2>/dev/null),-race)
comma   := ,
space   := $() $()
# component-base holds the version of the program.
LDFLAGS := -s -w -X k8s.io/component-base/version.gitVersion=$(VERSION)
# Modules with code of ours; those under e2e/tools only pin programs.
MODULES := . e2e
TOOLS   := $(dir $(wildcard e2e/tools/*/go.mod))
TOOL    := $(GO) tool -modfile=$(CURDIR)/e2e/tools
# Runs go test, and says last what failed: the logs of a long run hide it.
GO_TEST := $(TOOL)/gotestsum/go.mod gotestsum --format standard-verbose --

.DEFAULT_GOAL := help

##@ Use

.PHONY: demo
demo: ## See it work: a local control plane, two replicas, the examples, and masters that fail. DEMO_KEEP=1 keeps it up.
	cd e2e && $(GO) run ./cmd/demo

.PHONY: demo-kind
demo-kind: ## The same with real packets, on a cluster of kind: a client's requests per second while masters fail; needs Docker. KIND_NODE_IMAGE.
	@docker info >/dev/null 2>&1 || { echo "demo-kind needs Docker, which does not answer. make demo needs none; no packet flows there."; exit 1; }
	$(MAKE) e2e-images
	cd e2e && $(E2E_ENV) $(GO) run ./cmd/demo kind

.PHONY: build
build: ## Build the controller and the kubectl plugin into bin/.
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/...

.PHONY: image
image: ## Build the container image IMAGE on the base image BASE, for this machine's architecture.
	$(MAKE) build-for-linux ARCHS=$(ARCH)
	docker build --build-arg BASE=$(BASE) --build-arg VERSION=$(VERSION) --build-arg TARGETARCH=$(ARCH) -t $(IMAGE) .

.PHONY: image-push
image-push: build-for-linux ## Build and push the image for all of ARCHS; needs docker buildx.
	docker buildx build --push --platform $(subst $(space),$(comma),$(ARCHS:%=linux/%)) --build-arg BASE=$(BASE) --build-arg VERSION=$(VERSION) -t $(IMAGE) .

.PHONY: build-for-linux
build-for-linux:
	for arch in $(ARCHS); do CGO_ENABLED=0 GOOS=linux GOARCH=$$arch $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/linux/$$arch/ ./cmd/active-standby-controller || exit 1; done

.PHONY: local-up local-down
local-up: ## Start a local control plane (etcd, API server, controllers, kwok) to try things on.
	@cd e2e && $(GO) run ./cmd/local up
local-down: ## Stop it.
	cd e2e && $(GO) run ./cmd/local down

##@ Test

.PHONY: test
test: ## Unit tests, with the race detector if there is a C compiler, which it needs.
	$(if $(RACE),,@echo "No C compiler: testing without the race detector.")
	$(GO) test $(RACE) ./...

# How many steps make simulate takes, and the seed of its first run.
STEPS ?= 1000000
SEED  ?= 0

.PHONY: simulate
simulate: ## Let replicas of the controller run into everything that can happen, and check what must hold. STEPS, SEED.
	$(GO) test ./pkg/controller -run '^TestSimulation$$' -count=1 -timeout 0 -v -steps $(STEPS) -seed $(SEED)

.PHONY: test-integration
test-integration: ## Tests on a real API server, which is built the first time.
	cd e2e && $(GO) run ./cmd/local build && $(GO_TEST) -tags integration -count=1 -timeout 20m ./...

.PHONY: test-guarded
test-guarded: ## The same tests where policies keep users from writing what is the controller's; those that do so are skipped.
	cd e2e && $(GO) run ./cmd/local build && $(GO_TEST) -tags integration -count=1 -timeout 20m ./integration -guarded

# Flags of make test-gitops.
GITOPS ?=

.PHONY: test-gitops
test-gitops: ## Have Helm, Flux' library, kubectl and others apply manifests, and Helm the chart, on a real API server; builds them the first time. GITOPS=-short: the default routing alone; -save: write docs/gitops/results.json.
	cd e2e && $(GO) run ./cmd/local build && $(GO_TEST) -tags gitops -count=1 -timeout 40m ./gitops -run '^Test(Matrix|TenUpgrades|Chart|ChartTakesOver)$$' $(GITOPS)
	cd e2e/tools/flux && $(GO) test ./...

# How long make chaos lets things go wrong, what chooses them (0: a random seed), and the
# names of actors that are left out, separated by commas.
CHAOS_TIME    ?= 10m
CHAOS_SEED    ?= 0
CHAOS_WITHOUT ?=
# The directory in which it saves the history and the logs.
CHAOS_ARTIFACTS ?= $(CURDIR)/$(BIN)/chaos

.PHONY: chaos
chaos: ## Let everything go wrong on a real API server, and judge what three replicas make of it. CHAOS_TIME, CHAOS_SEED, CHAOS_WITHOUT.
	cd e2e && $(GO) run ./cmd/chaos -time '$(CHAOS_TIME)' -seed '$(CHAOS_SEED)' -without '$(CHAOS_WITHOUT)' -artifacts '$(CHAOS_ARTIFACTS)'

# Image names for make e2e alone. They are never pulled.
E2E_IMAGE  := localhost/active-standby-controller:e2e
E2E_TARGET := localhost/active-standby-controller-e2e-target:e2e
E2E_FENCING := localhost/fencing:e2e
E2E_FORMER  := localhost/active-standby-controller:former
# The commit of version 0.1.0, from which a test upgrades. It is skipped in a shallow clone.
FORMER      := 78e14ea
E2E_PLUGIN := $(CURDIR)/$(BIN)/e2e-plugin/kubectl-active_standby
E2E_HELM   := $(CURDIR)/$(BIN)/e2e-helm/helm
# The base of the controller's image in these tests.
E2E_BASE   ?= $(BASE)
# Images that replace the examples' busybox and postgres where these cannot be pulled.
E2E_BUSYBOX ?=
E2E_POSTGRESQL ?=
# The directory in which a failed test saves what explains it.
E2E_ARTIFACTS ?= $(CURDIR)/$(BIN)/e2e

.PHONY: e2e
e2e: e2e-images e2e-former e2e-programs ## Tests on a kind cluster. KIND_NODE_IMAGE: the nodes' image; E2E_KEEP=1 keeps the cluster; KUBECONFIG: an existing kind cluster; E2E_RUN: which tests.
	cd e2e && $(E2E_ENV) $(GO_TEST) -tags e2e -count=1 -timeout 60m -parallel 2 -run '$(E2E_RUN)' ./functional

# How often make e2e-failover measures each scenario with each routing, and which
# scenarios and routings, separated by commas. Empty means all.
E2E_RUNS      ?= 10
E2E_SCENARIOS ?=
E2E_ROUTINGS  ?=
# Configurations of kube-proxy that it compares, each MODE/MINSYNCPERIOD. Empty means the cluster's own alone.
E2E_PROXIES   ?=

.PHONY: e2e-failover
e2e-failover: e2e-images ## Measure failover on a kind cluster, and write docs/failover/ and the tables in docs/guarantees.md and the README; four hours. E2E_RUNS, E2E_SCENARIOS, E2E_ROUTINGS; E2E_PROXIES=iptables/1s,nftables/100ms compares these.
	cd e2e && $(E2E_ENV) $(GO) run ./cmd/failover measure -runs '$(E2E_RUNS)' -scenarios '$(E2E_SCENARIOS)' -routings '$(E2E_ROUTINGS)' -proxies '$(E2E_PROXIES)'

# What make scale measures, separated by commas: loads, each as ELECTIONS, ELECTIONS/NAMESPACES or
# ELECTIONS/NAMESPACES/NODES; routings (selector, endpointslice); parts (opt-in, rest, restart,
# failover, neighbour); how many masters fail at once; and the attacks of neighbour, all if empty.
SCALE_ELECTIONS ?= 100,1000,10000/1000/5000,200/1,1000/1
SCALE_ROUTINGS  ?= selector,endpointslice
SCALE_PARTS     ?= opt-in,rest,restart,failover,neighbour
SCALE_FAILURES  ?= 1,20,100,1000
SCALE_ATTACKS   ?=
# How often each load is measured, how long the part rest lasts, and how long elections may take.
SCALE_RUNS      ?= 3
SCALE_REST      ?= 60s
SCALE_PATIENCE  ?= 5m
# A directory for the results. If it is empty, docs/scale/ is written.
SCALE_OUT       ?=

.PHONY: scale
scale: ## Measure what many elections and bad neighbours cost, on a local control plane, and write docs/scale/; hours. SCALE_ELECTIONS, SCALE_PARTS, SCALE_OUT and others.
	cd e2e && E2E_VERSION=$(VERSION) $(GO) run ./cmd/scale measure -elections '$(SCALE_ELECTIONS)' -routings '$(SCALE_ROUTINGS)' -parts '$(SCALE_PARTS)' \
		-failures '$(SCALE_FAILURES)' -attacks '$(SCALE_ATTACKS)' -runs '$(SCALE_RUNS)' -rest '$(SCALE_REST)' -patience '$(SCALE_PATIENCE)' -out '$(abspath $(SCALE_OUT))'

.PHONY: scale-short
scale-short: ## Measure a little of it, in two minutes, and print the tables.
	$(MAKE) scale SCALE_ELECTIONS=50/1 SCALE_PARTS=opt-in,rest,restart,failover SCALE_FAILURES=1,20 SCALE_RUNS=1 SCALE_REST=10s SCALE_PATIENCE=1m SCALE_OUT='$(CURDIR)/$(BIN)/scale'

# How often make bench runs each benchmark, and which ones.
BENCH_COUNT ?= 6
BENCH       ?= .

.PHONY: bench
bench: ## Benchmark the pure parts with 10, 1,000 and 10,000 elections, and the memory of the caches, in the form that benchstat compares. BENCH, BENCH_COUNT.
	@$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -count $(BENCH_COUNT) ./pkg/observation ./pkg/election ./pkg/routing ./pkg/heartbeat ./pkg/controller

E2E_ENV = E2E_IMAGE=$(E2E_IMAGE) E2E_TARGET=$(E2E_TARGET) E2E_FENCING=$(E2E_FENCING) E2E_PLUGIN=$(E2E_PLUGIN) E2E_FORMER=$(E2E_FORMER) E2E_HELM=$(E2E_HELM) \
	E2E_BUSYBOX=$(E2E_BUSYBOX) E2E_POSTGRESQL=$(E2E_POSTGRESQL) E2E_ARTIFACTS=$(E2E_ARTIFACTS) E2E_VERSION=$(VERSION)

.PHONY: e2e-images
e2e-images:
	$(MAKE) image IMAGE=$(E2E_IMAGE) BASE=$(E2E_BASE)
	cd e2e && CGO_ENABLED=0 GOOS=linux $(GO) build -trimpath -ldflags '-s -w' -o $(CURDIR)/bin/e2e-target/target ./traffic/target
	docker build -t $(E2E_TARGET) -f e2e/traffic/target/Dockerfile bin/e2e-target

.PHONY: e2e-former
e2e-former:
	rm -rf bin/former
	if git cat-file -e '$(FORMER)^{commit}' 2>/dev/null; then mkdir -p bin/former && git archive $(FORMER) | tar -x -C bin/former && \
		$(MAKE) -C bin/former image IMAGE=$(E2E_FORMER) BASE=$(E2E_BASE) VERSION=v0.1.0; fi

.PHONY: e2e-programs
e2e-programs:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(E2E_PLUGIN) ./cmd/kubectl-active_standby
	CGO_ENABLED=0 GOOS=linux $(GO) build -trimpath -ldflags '-s -w' -o $(CURDIR)/bin/fencing/ ./examples/fencing
	docker build --build-arg BASE=$(E2E_BASE) -t $(E2E_FENCING) -f examples/fencing/Dockerfile bin/fencing
	$(GO) build -modfile=e2e/tools/helm4/go.mod -o $(E2E_HELM) helm.sh/helm/v4/cmd/helm

##@ Release

# The date in all that is built, in seconds since 1970: that of the commit, so that the same commit gives the same bytes.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct)
# Where the files of the release will be, which the manifest for krew says.
RELEASE_URL ?= https://github.com/qoqodev/active-standby-controller/releases/download/$(VERSION)
DIST        := $(CURDIR)/dist
PARTS       := $(CURDIR)/bin/release
CHART       := charts/active-standby-controller
CHARTS      ?= oci://docker.io/qoqodev
# Folders of manifests/ that change the objects of the base, and those that add objects.
CHANGING    := namespaced userns
ADDING      := admission fail-closed monitoring network on-demote
# An image with no files, for ko, which finds it in its cache: e2e/tools/release/scratch.
SCRATCH     := localhost/scratch@sha256:7863d89ec1a350c0f53f23abb010fbb11c3c30ea9e1bdb642b8599e63ffb4df6

.PHONY: release
release: export SOURCE_DATE_EPOCH := $(SOURCE_DATE_EPOCH)
release: export RELEASE_DATE = $(shell date -u -d @$(SOURCE_DATE_EPOCH) +%FT%TZ)
release: export LDFLAGS := $(LDFLAGS)
release: export VERSION := $(VERSION)
release: export RELEASE_URL := $(RELEASE_URL)
release: ## Write what a release consists of into dist/; needs Linux. VERSION; BASE=scratch where images cannot be pulled.
	rm -rf $(DIST) bin/ko && mkdir -p $(DIST) bin/ko
	$(TOOL)/release/go.mod goreleaser release --snapshot --clean
	cp $(PARTS)/*.tar.gz $(PARTS)/*.zip $(DIST)
	cp $(PARTS)/krew/active-standby.yaml $(DIST)/active-standby.krew.yaml
	cp -r e2e/tools/release/scratch bin/ko/img
	KOCACHE=$(CURDIR)/bin/ko KO_DEFAULTBASEIMAGE=$(if $(filter scratch,$(BASE)),$(SCRATCH),$(BASE)) KO_DOCKER_REPO=$(IMAGE:%:$(VERSION)=%) \
	$(TOOL)/release/go.mod ko build --bare --push=false --platform=$(subst $(space),$(comma),$(ARCHS:%=linux/%)) \
		--oci-layout-path=$(PARTS)/image --sbom-dir=$(DIST) --image-user=65532:65532 \
		--image-label='org.opencontainers.image.title=active-standby-controller' \
		--image-label='org.opencontainers.image.description=Gives all traffic of a Kubernetes Service to one of its pods' \
		--image-label='org.opencontainers.image.version=$(VERSION)' \
		--image-label='org.opencontainers.image.licenses=Apache-2.0' \
		./cmd/active-standby-controller >$(PARTS)/image.txt
	tar -C $(PARTS)/image --sort=name --mtime=@$(SOURCE_DATE_EPOCH) --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
		-cf $(DIST)/active-standby-controller_$(VERSION)_image.tar .
	mkdir $(PARTS)/manifests
	for change in '' $(CHANGING); do \
		{ echo 'resources: [../../../manifests]'; \
		  echo "components: [$${change:+../../../manifests/$$change}]"; \
		  echo "images: [{name: qoqodev/active-standby-controller, newName: $(IMAGE:%:$(VERSION)=%), newTag: $(VERSION), digest: '$$(sed 's/.*@//' $(PARTS)/image.txt)'}]"; \
		} >$(PARTS)/manifests/kustomization.yaml && \
		$(TOOL)/release/go.mod kustomize build $(PARTS)/manifests >$(DIST)/install$${change:+-$$change}.yaml || exit 1; done
	for folder in $(ADDING); do $(TOOL)/release/go.mod kustomize build manifests/$$folder >$(DIST)/$$folder.yaml || exit 1; done
	cp -r $(CHART) $(PARTS)/chart && find $(PARTS)/chart -exec touch -d @$(SOURCE_DATE_EPOCH) {} +
	$(TOOL)/helm4/go.mod helm package $(PARTS)/chart --version $(VERSION:v%=%) --app-version $(VERSION:v%=%) -d $(DIST)
	cd $(DIST) && sha256sum * >$(PARTS)/checksums.txt && mv $(PARTS)/checksums.txt .

.PHONY: test-release
test-release: ## Build a release on an empty base twice, and check that it is the same and complete.
	$(MAKE) release BASE=scratch
	cp $(DIST)/checksums.txt bin/checksums.txt
	$(MAKE) release BASE=scratch
	diff bin/checksums.txt $(DIST)/checksums.txt
	$(MAKE) verify-release

.PHONY: verify-release
verify-release: ## Check that dist/ is complete, and that its parts agree.
	cd e2e && $(GO) test -tags release -count=1 ./release -dist $(DIST) -version $(VERSION)

.PHONY: push-release
push-release: ## Push the image and the chart that make release has built; you must be logged in to their registry.
	$(TOOL)/release/go.mod crane push $(PARTS)/image $(IMAGE)
	$(TOOL)/helm4/go.mod helm push $(DIST)/active-standby-controller-$(VERSION:v%=%).tgz $(CHARTS)

##@ Documents

SITE      := e2e/tools/site
VITEPRESS := $(SITE)/node_modules/.bin/vitepress
# The path on its server under which the site will be, with a slash at both ends.
SITE_BASE ?= /

.PHONY: site
site: ## Build the documentation site into bin/site/; needs npm. SITE_BASE.
	@[ $(VITEPRESS) -nt $(SITE)/package-lock.json ] || { npm --prefix $(SITE) ci --no-audit --no-fund && touch $(VITEPRESS); }
	SITE_BASE='$(SITE_BASE)' $(VITEPRESS) build $(SITE)

.PHONY: picture
picture: ## Draw the README's moving picture, docs/tutorial.svg, from a run of the tutorial on a local control plane.
	cd e2e && $(GO) run ./cmd/local build && $(GO) test -tags integration -count=1 ./integration -run '^TestTutorial$$' -picture docs/tutorial.svg

##@ Verify

LINT := $(GO) tool -modfile=$(CURDIR)/e2e/tools/golangci-lint/go.mod

.PHONY: verify
verify: verify-tidy verify-lint verify-measured verify-chart verify-links verify-spelling verify-vulnerabilities ## Check everything that can be checked without running it.

.PHONY: verify-tidy
verify-tidy: ## go.mod and go.sum of all modules are tidy.
	@for module in $(MODULES) $(TOOLS); do echo "go mod tidy -diff in $$module"; (cd $$module && $(GO) mod tidy -diff) || exit 1; done

.PHONY: verify-lint
verify-lint: ## go vet, formatting and the linters of .golangci.yaml.
	@for module in $(MODULES); do echo "golangci-lint in $$module"; (cd $$module && $(LINT) golangci-lint run --config $(CURDIR)/.golangci.yaml --build-tags integration,e2e,gitops,release ./...) || exit 1; done

.PHONY: verify-measured
verify-measured: ## The documents say what docs/failover/results.json, docs/scale/results.json and docs/gitops/results.json say.
	cd e2e && $(GO) run ./cmd/failover check && $(GO) run ./cmd/scale check && $(GO) test ./gitops

LINKS  := e2e/tools/links
REMARK := $(LINKS)/node_modules/.bin/remark

HELM_DOCS := $(GO) tool -modfile=$(CURDIR)/e2e/tools/helm-docs/go.mod helm-docs --chart-search-root charts --sort-values-order file --log-level warning

.PHONY: verify-chart
verify-chart: ## The Helm chart renders what manifests/ has, and its README is that of its values; builds Helm the first time.
	cd e2e && $(GO) test -tags gitops -count=1 ./chart
	@$(HELM_DOCS) --dry-run | diff charts/active-standby-controller/README.md - || { echo 'The README of the chart is old: run make update.'; exit 1; }

.PHONY: verify-links
verify-links: ## Links and anchors of the documents lead somewhere; skipped where there is no npm.
ifeq ($(shell command -v npm 2>/dev/null),)
	@echo "remark-validate-links: skipped, because there is no npm"
else
	@[ $(REMARK) -nt $(LINKS)/package-lock.json ] || { npm --prefix $(LINKS) ci --no-audit --no-fund && touch $(REMARK); }
	git ls-files --cached --others --exclude-standard '*.md' | xargs $(REMARK) --rc-path $(LINKS)/package.json --frail --quiet --no-stdout --no-color
endif

.PHONY: verify-spelling
verify-spelling: ## No common misspelling in what is not Go, which has a linter for it; skipped where there is no codespell.
ifeq ($(shell command -v codespell 2>/dev/null),)
	@echo "codespell: skipped, because it is not installed"
else
	git ls-files --cached --others --exclude-standard | grep -Ev '\.(go|mod|sum|json|svg)$$|/testdata/' | xargs codespell
endif

.PHONY: verify-vulnerabilities
verify-vulnerabilities: ## Known vulnerabilities; skipped where their database cannot be reached.
	@out=$$($(LINT) govulncheck ./... 2>&1); status=$$?; echo "$$out"; \
	case "$$status:$$out" in \
	0:*) ;; \
	*"fetching vulnerabilities"*|*"dial tcp"*|*"no such host"*) echo "govulncheck: skipped, because the vulnerability database cannot be reached";; \
	*) exit $$status;; \
	esac

.PHONY: update
update: ## Do what verify and test check: tidy, format, write the documents of what was measured, the reference, and what the chart has of manifests/.
	@for module in $(MODULES) $(TOOLS); do (cd $$module && $(GO) mod tidy) || exit 1; done
	@for module in $(MODULES); do (cd $$module && $(LINT) golangci-lint fmt --config $(CURDIR)/.golangci.yaml ./...) || exit 1; done
	cd e2e && $(GO) run ./cmd/failover write && $(GO) run ./cmd/scale write && $(GO) test ./gitops -run TestDocument -update
	$(GO) test ./cmd/active-standby-controller -run 'TestReference|TestChartHasTheManifests' -update
	$(HELM_DOCS)

.PHONY: help
help: ## Print this list.
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-24s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
