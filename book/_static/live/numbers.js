geomlibLive.define("numbers", (live) => {
  /** Bytes of a base64 text. */
  const bytes = (text) => {
    const binary = atob(text);
    const values = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) values[i] = binary.charCodeAt(i);
    return values;
  };

  /** Numbers of a base64 text of float32, little endian. */
  live.float32 = (text) => {
    const view = new DataView(bytes(text).buffer);
    return Float32Array.from({ length: view.byteLength / 4 }, (_, i) => view.getFloat32(4 * i, true));
  };

  /** Numbers of a base64 text of float16, little endian: sign, five bits of exponent, ten of fraction. */
  live.float16 = (text) => {
    const raw = bytes(text);
    const values = new Float32Array(raw.length / 2);
    for (let i = 0; i < values.length; i++) {
      const half = raw[2 * i] | (raw[2 * i + 1] << 8);
      const exponent = (half >> 10) & 31;
      const fraction = (half & 1023) / 1024;
      const size = exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction;
      values[i] = half >> 15 ? -size : size;
    }
    return values;
  };

  /** `start + sum of amounts[i] * directions[i]`, in float64. */
  live.moved = (start, directions, amounts) => {
    const place = Float64Array.from(start);
    directions.forEach((direction, i) => {
      for (let j = 0; j < place.length; j++) place[j] += amounts[i] * direction[j];
    });
    return place;
  };

  /** Sum of products, in float64. */
  live.dot = (a, b) => {
    let even = 0;
    let odd = 0;
    const end = a.length & ~1;
    for (let i = 0; i < end; i += 2) {
      even += a[i] * b[i];
      odd += a[i + 1] * b[i + 1];
    }
    return end < a.length ? even + odd + a[end] * b[end] : even + odd;
  };
});
