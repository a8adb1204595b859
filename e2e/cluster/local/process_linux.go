package local

import "syscall"

// dieWithParent has the kernel send a child the signal when this process ends,
// however it ends. It means the thread that started the child: whoever starts one
// has to stay locked to its thread for as long as the child may live.
func dieWithParent(signal syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: signal}
}
