package config

import (
	"fmt"
	"reflect"
)

// Changes lists the keys in which two configurations differ: those that a running control plane can take over, and
// those that need a restart. Entries of lists are called by their name or address, such as
// clusters[shop].servers[db1:3306].promotion; an entry that came or went is listed once.
func Changes(old, new Config) (live, needsRestart []string) {
	d := &differ{}
	d.structs(reflect.ValueOf(old), reflect.ValueOf(new), "", false)
	return d.live, d.needsRestart
}

type differ struct{ live, needsRestart []string }

func (d *differ) differs(path string, live bool) {
	if live {
		d.live = append(d.live, path)
	} else {
		d.needsRestart = append(d.needsRestart, path)
	}
}

func (d *differ) structs(a, b reflect.Value, path string, live bool) {
	for i := range a.NumField() {
		f := a.Type().Field(i)
		name := f.Tag.Get("mapstructure")
		if name == "-" {
			continue
		}
		d.values(a.Field(i), b.Field(i), joined(path, name), live || f.Tag.Get("live") != "")
	}
}

func (d *differ) values(a, b reflect.Value, path string, live bool) {
	switch kindOf(a.Type()) {
	case kindSection:
		d.structs(a, b, path, live)
	case kindList:
		d.lists(a, b, path, live)
	case kindText, kindSecret, kindBool, kindInt, kindFloat, kindDuration:
		if !a.Equal(b) {
			d.differs(path, live)
		}
	}
}

func (d *differ) lists(a, b reflect.Value, path string, live bool) {
	if kindOf(a.Type().Elem()) != kindSection {
		if a.Len()+b.Len() > 0 && !reflect.DeepEqual(a.Interface(), b.Interface()) {
			d.differs(path, live)
		}
		return
	}
	before, after := entries(a), entries(b)
	for i := range a.Len() {
		name := identity(a.Index(i))
		if other, stays := after[name]; stays {
			d.structs(a.Index(i), other, fmt.Sprintf("%s[%s]", path, name), live)
		} else {
			d.differs(fmt.Sprintf("%s[%s]", path, name), live)
		}
	}
	for i := range b.Len() {
		if name := identity(b.Index(i)); !before[name].IsValid() {
			d.differs(fmt.Sprintf("%s[%s]", path, name), live)
		}
	}
}

func entries(list reflect.Value) map[string]reflect.Value {
	found := map[string]reflect.Value{}
	for i := range list.Len() {
		found[identity(list.Index(i))] = list.Index(i)
	}
	return found
}

// identity is what an entry is called: the rules see to it that it is there and differs from the others'.
func identity(entry reflect.Value) string {
	for _, name := range []string{"Name", "Address"} {
		if f := entry.FieldByName(name); f.IsValid() {
			return f.String()
		}
	}
	return ""
}
