// How colours and numbers are shown.

// A colour for light and dark backgrounds: {light, dark}.
export function shade(colour, dark) { return dark ? colour.dark : colour.light; }

// With a sign, and a real minus.
export function signed(value, digits = 2) { return (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits); }
