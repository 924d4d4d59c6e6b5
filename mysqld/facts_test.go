package mysqld

import (
	"slices"
	"testing"
)

func TestWhatTheAccountLacksIsNamedAsGrantNamesIt(t *testing.T) {
	needed := []Grant{{Privilege: "PROCESS", On: "*.*"}, {Privilege: "SELECT", On: "`_primacy`.*"}, {Privilege: "CLONE_ADMIN", On: "*.*", Feature: FeatureClone}}
	for name, row := range map[string]struct {
		shown []string
		want  []string
	}{
		"nothing is held":            {[]string{"GRANT USAGE ON *.* TO `p`@`%`"}, []string{"PROCESS ON *.*", "SELECT ON `_primacy`.*"}},
		"everything global":          {[]string{"GRANT SELECT, RELOAD, PROCESS ON *.* TO `p`@`%` WITH GRANT OPTION"}, nil},
		"the schema by its own line": {[]string{"GRANT PROCESS ON *.* TO `p`@`%`", "GRANT SELECT, INSERT ON `_primacy`.* TO `p`@`%`"}, nil},
		"the schema with an escape":  {[]string{"GRANT PROCESS ON *.* TO `p`@`%`", "GRANT ALL PRIVILEGES ON `\\_primacy`.* TO `p`@`%`"}, nil},
		"another schema":             {[]string{"GRANT PROCESS ON *.* TO `p`@`%`", "GRANT SELECT ON `app`.* TO `p`@`%`"}, []string{"SELECT ON `_primacy`.*"}},
		"a role that is not active":  {[]string{"GRANT USAGE ON *.* TO `p`@`%`", "GRANT `admin`@`%` TO `p`@`%`"}, []string{"PROCESS ON *.*", "SELECT ON `_primacy`.*"}},
	} {
		t.Run(name, func(t *testing.T) {
			held := make(privileges)
			for _, line := range row.shown {
				held.add(line)
			}
			if got := held.lacking(needed); !slices.Equal(got, row.want) {
				t.Errorf("%q, want %q", got, row.want)
			}
		})
	}
}

func TestInstantsAreReadToTheMicrosecond(t *testing.T) {
	for text, want := range map[string]int64{
		"1795219336.457398": 1795219336457398, "1795219336": 1795219336000000, "0.500": 500000, "0.000000": 0, "": 0, "NULL": 0,
	} {
		if got := (cell{text: text}).instant(); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
