/* A DCGAN: a matrix to 4 x 4 pixels, then transposed convolutions of width 4 and stride 2, ReLU between, tanh last.
   Batch normalisation is part of the weights already.  Maps are stored by row, column, channel, with a border of zeros
   one pixel wide, and the channels filled up to a multiple of four. */
geomlibLive.define("network", (live) => {
  const filled = (channels) => 4 * Math.ceil(channels / 4);

  /** Weights of a transposed convolution (in, out, 4, 4), in the order in which `convolve` reads them.

  A pixel of the result sees 2 x 2 pixels of the input; which weights it takes depends on whether its row and column
  are even or odd: four phases, each a matrix product.  Order: phase, four output channels, row, column, input
  channel, one of the four.  What only fills up the maps has weight zero. */
  const packed = (weights, inputs, channels, outputs) => {
    const blocks = filled(outputs) / 4;
    const result = new Float32Array(16 * channels * 4 * blocks);
    let next = 0;
    for (let phase = 0; phase < 4; phase++)
      for (let block = 0; block < blocks; block++)
        for (let row = 0; row < 2; row++)
          for (let column = 0; column < 2; column++) {
            const tap = 4 * (3 - (phase >> 1) - 2 * row) + 3 - (phase & 1) - 2 * column;
            for (let input = 0; input < channels; input++)
              for (let output = 4 * block; output < 4 * block + 4; output++)
                result[next++] = input < inputs && output < outputs ? weights[(input * outputs + output) * 16 + tap] : 0;
          }
    return result;
  };

  /** Transposed convolution of a map with `side` pixels a side into one of twice as many, without what follows it.

  Two pixels and four channels at a time, so that their sums stay in registers; sums are float64. */
  const convolve = (source, side, inputs, weights, bias, target, channels) => {
    const line = (side + 2) * inputs;
    const span = 2 * inputs;
    const wide = 2 * side + 2;
    let panel = 0;
    for (let phase = 0; phase < 4; phase++) {
      const down = phase >> 1;
      const right = phase & 1;
      for (let channel = 0; channel < channels; channel += 4) {
        const b0 = bias ? bias[channel] : 0;
        const b1 = bias ? bias[channel + 1] : 0;
        const b2 = bias ? bias[channel + 2] : 0;
        const b3 = bias ? bias[channel + 3] : 0;
        for (let row = 0; row < side; row++)
          for (let column = 0; column < side; column += 2) {
            let p0 = b0, p1 = b1, p2 = b2, p3 = b3;
            let q0 = b0, q1 = b1, q2 = b2, q3 = b3;
            let weight = panel;
            for (let above = 0; above < 2; above++) {
              let at = (row + down + above) * line + (column + right) * inputs;
              const end = at + span;
              for (; at < end; at++, weight += 4) {
                const w0 = weights[weight], w1 = weights[weight + 1], w2 = weights[weight + 2], w3 = weights[weight + 3];
                const p = source[at];
                const q = source[at + inputs];
                p0 += p * w0; p1 += p * w1; p2 += p * w2; p3 += p * w3;
                q0 += q * w0; q1 += q * w1; q2 += q * w2; q3 += q * w3;
              }
            }
            const to = ((2 * row + down + 1) * wide + 2 * column + right + 1) * channels + channel;
            const next = to + 2 * channels;
            target[to] = p0; target[to + 1] = p1; target[to + 2] = p2; target[to + 3] = p3;
            target[next] = q0; target[next + 1] = q1; target[next + 2] = q2; target[next + 3] = q3;
          }
        panel += 8 * span;
      }
    }
  };

  /** Weights of a network as the page's scripts describe it. */
  live.Network = class {
    constructor({ latent, widths, weights }) {
      const values = live.float16(weights);
      let next = 0;
      const take = (count) => values.subarray(next, (next += count));
      this.latent = latent;
      this.first = { weights: take(latent * 16 * widths[0]), bias: take(16 * widths[0]) };
      this.layers = widths.slice(1).map((outputs, i) => {
        const inputs = i ? filled(widths[i]) : widths[i];
        const weights = packed(take(widths[i] * outputs * 16), widths[i], inputs, outputs);
        const bias = new Float32Array(filled(outputs));
        bias.set(take(outputs));
        return { inputs, channels: filled(outputs), side: 4 * 2 ** i, weights, bias };
      });
      this.width = widths[0];
      this.colours = widths[widths.length - 1];
      this.side = 4 * 2 ** this.layers.length;
      this.size = this.colours * this.side ** 2;
    }
  };

  /** A place in the latent space of a network: its image, and derivatives of the image along directions there. */
  live.Place = class {
    constructor(network) {
      this.network = network;
      const maps = () => [
        new Float32Array(36 * network.width),
        ...network.layers.map(({ side, channels }) => new Float32Array((2 * side + 2) ** 2 * channels)),
      ];
      this.maps = maps(); // what the layers make of the latent, after their ReLU
      this.tangents = maps(); // what they make of a direction
      this.image = new Float32Array(network.size); // in [0, 1], by row, column, colour
    }

    /** Go to a latent; the image there. */
    move(latent) {
      if (this.latent && latent.every((value, i) => value === this.latent[i])) return this.image;
      this.latent = Float64Array.from(latent);
      this.spread(latent, this.network.first.bias, this.maps[0]);
      this.network.layers.forEach(({ side, inputs, weights, bias, channels }, i) => {
        const source = this.maps[i];
        for (let j = 0; j < source.length; j++) if (source[j] < 0) source[j] = 0;
        convolve(source, side, inputs, weights, bias, this.maps[i + 1], channels);
      });
      const last = this.maps[this.maps.length - 1];
      this.inside((at, to) => {
        this.image[to] = (Math.tanh(last[at]) + 1) / 2;
      });
      return this.image;
    }

    /** Derivative of the image along a direction at the place: forward mode, in about the time of one image. */
    push(direction) {
      this.spread(direction, null, this.tangents[0]);
      this.network.layers.forEach(({ side, inputs, weights, channels }, i) => {
        const source = this.tangents[i];
        const open = this.maps[i];
        for (let j = 0; j < source.length; j++) if (open[j] <= 0) source[j] = 0;
        convolve(source, side, inputs, weights, null, this.tangents[i + 1], channels);
      });
      const last = this.tangents[this.tangents.length - 1];
      const result = new Float32Array(this.network.size);
      this.inside((at, to) => {
        const value = this.image[to];
        result[to] = 2 * value * (1 - value) * last[at]; // of (tanh + 1) / 2
      });
      return result;
    }

    /** The first layer: a matrix product into the inside of a map of 4 x 4 pixels. */
    spread(latent, bias, map) {
      const { width, first } = this.network;
      const sums = bias ? Float64Array.from(bias) : new Float64Array(16 * width);
      for (let i = 0; i < latent.length; i++) {
        const factor = latent[i];
        const from = i * sums.length;
        for (let j = 0; j < sums.length; j++) sums[j] += factor * first.weights[from + j];
      }
      for (let row = 0; row < 4; row++)
        map.set(sums.subarray(4 * row * width, 4 * (row + 1) * width), (6 * (row + 1) + 1) * width);
    }

    /** Every number of the image: where it is in the last map, and where in the image. */
    inside(visit) {
      const { side, colours, layers } = this.network;
      const channels = layers[layers.length - 1].channels;
      let to = 0;
      for (let row = 1; row <= side; row++)
        for (let column = 1; column <= side; column++)
          for (let colour = 0; colour < colours; colour++) visit((row * (side + 2) + column) * channels + colour, to++);
    }
  };
});
