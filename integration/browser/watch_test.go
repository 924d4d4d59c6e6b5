package browser

import (
	"strings"
	"testing"

	"github.com/primacydb/primacy/integration/panorama"
)

// A watch that cannot see a violation sees none: here they are made, and each must be noted. This is also what shows that
// a browser takes the policy as it is meant.
func TestTheWatchNoticesWhatAPageMustNotDo(t *testing.T) {
	_, c := scenery(t, panorama.Settings{Clusters: 3, Servers: 3, Seed: 1})
	rows := []struct{ name, does, noted string }{
		{"a script in the page", `{const s = document.createElement("script"); s.setAttribute("nonce", ""); s.text = "window.escaped = 1"; document.body.append(s)}`, "TrustedScript"},
		{"markup with a handler", `document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.escaped = 1'>")`, "TrustedHTML"},
		{"a picture from elsewhere", `new Image().src = "http://127.0.0.2:9/x.png"`, "http://127.0.0.2:9/x.png"},
		{"a request to elsewhere", `void fetch("http://127.0.0.2:9/y").catch(() => 0)`, "http://127.0.0.2:9/y"},
		{"an error", `setTimeout(() => { throw new Error("on purpose") })`, "on purpose"},
		{"a complaint", `console.error("a complaint")`, "a complaint"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			p := blank(t, c.base())
			p.navigate("/docs")
			ask[bool](p, "(() => { try {"+row.does+"} catch (e) { console.error(String(e)) } return true })()")
			p.eventually(row.noted, func() bool { return strings.Contains(strings.Join(p.noted(), "\n"), row.noted) })
			if ask[bool](p, `"`+panorama.Marker+`" in window`) {
				t.Error("it ran")
			}
		})
	}
}
