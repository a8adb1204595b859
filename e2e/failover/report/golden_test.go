package report

import "strings"

// raw turns each ^ into a backquote, and each ~ into a space at which no line breaks.
func raw(text string) string { return strings.NewReplacer("^", "`", "~", "\u00a0").Replace(text) }

var wantReadme = raw(`# Project

<!-- generated: failover-brief, by make update -->

|  | plain Service | ^selector^ |
| --- | --- | --- |
| The master's process is killed | 180~ms<br>(1.00~s)<br>4.3~lost | 1.21~s<br>(1.46~s)<br>82~lost |
| Planned switchover | – | 16~ms<br>(31~ms)<br>0~lost |

<!-- end -->
`)

var wantSummary = raw(`# Guarantees

Prose.

<!-- generated: failover-summary, by make update -->

|  | plain Service | ^selector^ | ^selector^<br>with probes |
| --- | --- | --- | --- |
| The master's process is killed | 180~ms<br>(1.00~s)<br>4.3~lost | 1.21~s<br>(1.46~s)<br>82~lost | 410~ms<br>(1.42~s)<br>30~lost |
| Planned switchover | – | 16~ms<br>(31~ms)<br>0~lost | – |

<!-- end -->

More.
`)

var wantDetail = raw(`A
<!-- generated: measured-on, by make update -->

| what | value |
| --- | --- |
| Kubernetes | v1.37.2 |
| nodes | 4, the control plane among them; they share 2 CPUs with the pods and the clients |
| kube-proxy | mode ^iptables^, ^minSyncPeriod^ 1s |
| readiness probe | ^periodSeconds^ 1, ^timeoutSeconds^ 2, ^failureThreshold^ 3 |
| the controller's own probe, where a Service has one | ^http://:8080/ready^, interval 200ms, timeout 150ms, failures 2 |
| client | a new connection every 15ms; lost if not answered within 1s |

<!-- end -->
B
<!-- generated: results, by make update -->

### The master's process is killed

Measured on 2026-11-25, version v1.2.3: plain Service, ^selector^; on 2026-11-26, version v1.3.0: ^selector^ with probes.

| routing | runs | outage: p50 / p90 / max | after detection: p50 / max | lost of sent | overlap | transitions | kept-alive |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| plain Service | 10 | 180 ms / 200 ms / 1.00 s | – | 43 of 3000 | – | – | – |
| ^selector^ | 10 | 1.21 s / 1.35 s / 1.46 s | 985 ms / 1.00 s | 815 of 3100 | 0 ms | 10 | 7 ms (2 of 10 to the end) |
| ^selector^ with probes | 5 | 410 ms / 1.40 s / 1.42 s | – | 150 of 1500 | 0 ms | 5 | – |

The kubelet looks once a second.

![Timelines: The master's process is killed](killed.svg)

### Planned switchover

Measured on 2026-11-25, version v1.2.3.

| routing | runs | outage: p50 / p90 / max | after detection: p50 / max | lost of sent | overlap | transitions | kept-alive |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| ^selector^ | 10 | 16 ms / 17 ms / 31 ms | – | 0 of 2900 | 3 ms | 10 | to the end |

![Timelines: Planned switchover](switchover.svg)

<!-- end -->
C
<!-- generated: steps, by make update -->

| scenario | routing | run | noticed | decided | published | answered |
| --- | --- | --- | ---: | ---: | ---: | ---: |
| The master's process is killed | plain Service | median | 120 | – | 141 | – |
|  |  | worst | – | – | – | – |
|  | ^selector^ | median | 140 | 152 | 171 | 1202 |
|  |  | worst | 390 | – | – | – |
|  | ^selector^ with probes | median | – | 350 | – | – |
|  |  | worst | – | – | – | – |
| Planned switchover | ^selector^ | median | – | 20 | – | – |
|  |  | worst | – | – | – | – |

<!-- end -->
D
<!-- generated: kube-proxies, by make update -->

Measured on 2026-11-27, version v1.3.0.

|  | kube-proxy | runs | plain Service | ^selector^ |
| --- | --- | --- | --- | --- |
| The master's process is killed | ^iptables^, 1s | 3 | 180~ms<br>(1.00~s)<br>4.3~lost | 1.21~s<br>(1.46~s)<br>82~lost |
|  | ^nftables^, 100ms | 3 | – | 1.21~s<br>(1.46~s)<br>82~lost |

<!-- end -->
`)
