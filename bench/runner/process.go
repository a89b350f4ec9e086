package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"halley/bench/load"
)

const (
	readyWithin = 30 * time.Second
	stopWithin  = 10 * time.Second
)

// process is a target that runs.
type process struct {
	name   string
	url    string            // without a path
	vars   map[string]string // what the placeholders stand for
	target load.Target
	log    string        // path of the file that holds what it wrote
	group  int           // process group, its own
	ended  chan struct{} // closed when the command has ended and was waited for
}

// start runs a target in a new directory below root and returns when it is
// ready and set up. The caller stops it.
func start(ctx context.Context, t target, root string, vars map[string]string) (*process, error) {
	dir := filepath.Join(root, t.Name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	p := &process{
		name:  t.Name,
		url:   "http://127.0.0.1:" + port,
		vars:  maps.Clone(vars),
		log:   filepath.Join(dir, "output.log"),
		ended: make(chan struct{}),
	}
	p.vars["port"], p.vars["dir"] = port, dir
	if err := p.launch(t, dir); err != nil {
		return nil, fmt.Errorf("%s: %w", t.Name, err)
	}
	if err := p.prepare(ctx, t); err != nil {
		p.stop()
		return nil, fmt.Errorf("%s: %w; its last words:\n%s", t.Name, err, p.lastWords())
	}
	return p, nil
}

// launch starts the command with an environment of its own: nothing that is
// set around the benchmark (GOGC, HALLEY_…) changes what is measured.
func (p *process) launch(t target, dir string) error {
	arguments := make([]string, len(t.Command))
	for i, argument := range t.Command {
		var err error
		if arguments[i], err = expand(argument, p.vars); err != nil {
			return err
		}
	}
	env, err := expandAll(t.Env, p.vars)
	if err != nil {
		return err
	}
	log, err := os.Create(p.log)
	if err != nil {
		return err
	}
	defer log.Close() // the command has its own handle
	cmd := exec.Command(arguments[0], arguments[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	p.group = cmd.Process.Pid
	go func() {
		defer close(p.ended)
		_ = cmd.Wait() // how it ended does not matter: ending early is the error
	}()
	return nil
}

// prepare waits until the target is ready, sets it up and keeps how it is to
// be called.
func (p *process) prepare(ctx context.Context, t target) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	if err := p.awaitReady(ctx, t.Ready); err != nil {
		return err
	}
	if err := setUp(ctx, p.url, t.Setup, p.vars); err != nil {
		return err
	}
	headers, err := expandAll(t.Headers, p.vars)
	p.target = load.Target{URL: p.url + t.BasePath, Header: headers}
	return err
}

func (p *process) awaitReady(ctx context.Context, path string) error {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		if answers(ctx, p.url+path) {
			return nil
		}
		select {
		case <-again.C:
		case <-p.ended:
			return fmt.Errorf("it ended before it was ready")
		case <-ctx.Done():
			return fmt.Errorf("it is not ready: %s%s does not answer 2xx: %w", p.url, path, ctx.Err())
		}
	}
}

func answers(ctx context.Context, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode/100 == 2
}

// consumed reads what the target has used so far.
func (p *process) consumed() (consumption, error) {
	c, err := readGroup("/proc", p.group)
	if err != nil {
		return c, fmt.Errorf("%s: %w; its last words:\n%s", p.name, err, p.lastWords())
	}
	return c, nil
}

// stop ends the process group, gently first, and waits for the command.
func (p *process) stop() {
	_ = syscall.Kill(-p.group, syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(stopWithin):
	}
	_ = syscall.Kill(-p.group, syscall.SIGKILL) // what is left of the group, if anything
	<-p.ended
}

// lastWords is the end of what the process wrote.
func (p *process) lastWords() string {
	file, err := os.Open(p.log)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	const most = 2000
	if info, err := file.Stat(); err == nil && info.Size() > most {
		_, _ = file.Seek(-most, io.SeekEnd)
	}
	words, _ := io.ReadAll(file)
	return string(words)
}

// freePort finds a port that nothing listens on. Somebody else may take it
// before the target does; the target then ends, and so does the run.
func freePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port), nil
}
