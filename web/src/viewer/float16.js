/**
 * From the payload's text to numbers: base64 of little-endian float16 to Float32Array.
 */

/**
 * Value of one half-precision number: 1 sign bit, 5 exponent bits, 10 fraction bits.
 * @param {number} bits 0..65535
 * @returns {number}
 */
export function halfToNumber(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** @type {Float32Array | undefined} every half-precision value by its bits, made when first needed */
let table;

/**
 * @param {string} text base64 of little-endian float16
 * @param {number} length how many numbers are expected
 * @returns {Float32Array}
 */
export function decodeFloat16(text, length) {
  table ??= Float32Array.from({ length: 65536 }, (_, bits) => halfToNumber(bits));
  const bytes = atob(text);
  if (bytes.length !== 2 * length) throw new Error(`expected ${length} numbers, got ${bytes.length / 2}`);
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) values[i] = table[bytes.charCodeAt(2 * i) | (bytes.charCodeAt(2 * i + 1) << 8)];
  return values;
}
