package local

import "syscall"

// dieWithParent makes the kernel send a child the signal when this process ends,
// however it ends. To the kernel the parent is the thread that started the child:
// the goroutine must stay locked to that thread for as long as the child may live.
func dieWithParent(signal syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: signal}
}
