package nodeprobe

import (
	"math"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// established is TCP_ESTABLISHED of Linux.
const established = 1

// heard returns how long ago the other side acknowledged something last, and whether the
// connection is open.
func heard(conn *net.TCPConn) (age time.Duration, open bool) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, false
	}
	var info *unix.TCPInfo
	if failed := raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }); failed != nil || err != nil {
		return 0, false
	}
	return time.Duration(info.Last_ack_recv) * time.Millisecond, info.State == established
}

// descriptors is how many files this process can have open.
func descriptors() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return int(min(limit.Cur, math.MaxInt32))
}
