package panorama

import "strings"

// Marker is what a script sets that got out of a text.
const Marker = "escaped"

// hostile surrounds a text with what a page must show as text: markup that loads, runs and closes what is around it, a
// mark that turns the text around, and length.
func hostile(text string) string {
	return `"'></td></script><img src=x onerror="window.` + Marker + `=1"><script>window.` + Marker + `=1</script><svg onload=window.` +
		Marker + `=1>javascript:window.` + Marker + "=1 \u202e" + text + "\u202c " + strings.Repeat("A", 600)
}
