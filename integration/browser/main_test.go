// Package browser looks at the dashboard with a real Chromium: in front of a real fleet whose primary dies, and of a
// thousand clusters that do not exist. Whatever a page does that it should not fails its test: a request to somebody else,
// something that the content security policy forbids, an error, a dialog.
package browser

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"go.uber.org/goleak"
)

// patience bounds every wait for a condition; it is never a measure of anything.
const patience = 45 * time.Second

var update = flag.Bool("update", false, "take the pictures of docs/pictures anew")

// chromium is the browser of all tests; each opens tabs of its own in it.
var chromium context.Context

func TestMain(m *testing.M) {
	flag.Parse()
	stop, err := startChromium()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	stop()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func startChromium() (stop func(), err error) {
	program, err := findChromium()
	if err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program),
		// The pages are our own, and containers seldom allow what the sandbox needs.
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WSURLReadTimeout(patience), chromedp.WindowSize(1280, 900),
		chromedp.Flag("no-proxy-server", true), chromedp.Flag("disable-component-update", true))
	allocator, free := chromedp.NewExecAllocator(context.Background(), options...)
	browser, end := chromedp.NewContext(allocator)
	if err := chromedp.Do(browser); err != nil {
		end()
		free()
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	chromium = browser
	return func() { end(); free() }, nil
}

// findChromium looks where scripts/chromium.sh does, and fetches nothing.
func findChromium() (string, error) {
	if named := os.Getenv("PRIMACY_CHROMIUM"); named != "" {
		return named, nil
	}
	for _, name := range []string{"chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if found, err := exec.LookPath(name); err == nil {
			return found, nil
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	fetched := filepath.Join(cache, "primacy", "chromium", "current", "chromium")
	if _, err := os.Stat(fetched); err != nil {
		return "", errors.New("there is no Chromium: scripts/chromium.sh fetches one, or name yours in PRIMACY_CHROMIUM")
	}
	return fetched, nil
}
