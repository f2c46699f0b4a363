// SHA-256 (FIPS 180-4) of a stream; the browser's crypto.subtle.digest needs the whole content in memory.

/** @type {number[]} */
const primes = [];
for (let candidate = 2; primes.length < 64; candidate++) {
  if (primes.every((prime) => candidate % prime)) primes.push(candidate);
}

/** @param {number} value */
const fractionBits = (value) => Math.floor((value - Math.floor(value)) * 2 ** 32);
const ROUND_CONSTANTS = Uint32Array.from(primes, (prime) => fractionBits(Math.cbrt(prime)));
const INITIAL_STATE = Uint32Array.from(primes.slice(0, 8), (prime) => fractionBits(Math.sqrt(prime)));
const BLOCK_BYTES = 64;

export class Sha256 {
  #state = INITIAL_STATE.slice();
  #schedule = new Uint32Array(64);
  #buffer = new Uint8Array(BLOCK_BYTES);
  #bufferedBytes = 0;
  #totalBytes = 0;

  /** @param {Uint8Array} bytes */
  update(bytes) {
    this.#totalBytes += bytes.length;
    let at = 0; // position in bytes
    if (this.#bufferedBytes) {
      at = Math.min(BLOCK_BYTES - this.#bufferedBytes, bytes.length);
      this.#buffer.set(bytes.subarray(0, at), this.#bufferedBytes);
      this.#bufferedBytes += at;
      if (this.#bufferedBytes < BLOCK_BYTES) return this;
      this.#compress(this.#buffer, 0);
      this.#bufferedBytes = 0;
    }
    for (; at + BLOCK_BYTES <= bytes.length; at += BLOCK_BYTES) this.#compress(bytes, at);
    this.#buffer.set(bytes.subarray(at));
    this.#bufferedBytes = bytes.length - at;
    return this;
  }

  /** The digest as hexadecimal digits; nothing can be added afterwards. */
  hex() {
    const bits = this.#totalBytes * 8;
    const padding = new Uint8Array(((this.#bufferedBytes < 56 ? 56 : 120) - this.#bufferedBytes) + 8);
    padding[0] = 0x80;
    const length = new DataView(padding.buffer, padding.length - 8);
    length.setUint32(0, Math.floor(bits / 2 ** 32));
    length.setUint32(4, bits % 2 ** 32);
    this.update(padding);
    return Array.from(this.#state, (word) => word.toString(16).padStart(8, "0")).join("");
  }

  /**
   * @param {Uint8Array} bytes
   * @param {number} at start of the block
   */
  #compress(bytes, at) {
    const w = this.#schedule;
    for (let t = 0, i = at; t < 16; t++, i += 4) w[t] = (bytes[i] << 24) | (bytes[i + 1] << 16) | (bytes[i + 2] << 8) | bytes[i + 3];
    for (let t = 16; t < 64; t++) {
      const early = w[t - 15];
      const late = w[t - 2];
      const s0 = ((early >>> 7) | (early << 25)) ^ ((early >>> 18) | (early << 14)) ^ (early >>> 3);
      const s1 = ((late >>> 17) | (late << 15)) ^ ((late >>> 19) | (late << 13)) ^ (late >>> 10);
      w[t] = w[t - 16] + s0 + w[t - 7] + s1;
    }
    let [a, b, c, d, e, f, g, h] = this.#state;
    for (let t = 0; t < 64; t++) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const first = (h + s1 + ((e & f) ^ (~e & g)) + ROUND_CONSTANTS[t] + w[t]) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const second = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + first) | 0;
      d = c;
      c = b;
      b = a;
      a = (first + second) | 0;
    }
    [a, b, c, d, e, f, g, h].forEach((word, index) => (this.#state[index] += word));
  }
}

/** @param {string} text */
export const sha256 = (text) => new Sha256().update(new TextEncoder().encode(text)).hex();
