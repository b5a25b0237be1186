"use strict";
/*
 * The network of `explorer.html`, efficientnet_lite0, in JavaScript without a library: from the
 * pixels of a picture to what each of 7x7 cells adds to each of 1000 classes.
 *
 * The page loads this file when a picture of the reader's own is first chosen. `explorer.py` writes
 * it beside the page, with the layers and weights of the installed package as its last line.
 *
 * Feature maps are Float32Arrays: channel after channel, each row after row.
 */

/**
 * The network as a function. Whatever it needs stands inside: its text also runs in a worker.
 *
 * A layer is a convolution with its batch norm folded in. `from`, `to`: its channels; `kernel`,
 * `stride`; `before`: rows and columns of zeros above and to the left; `side`: of its output;
 * `weight`, `bias`: where they begin among the weights; `relu6`; `isStart`, `isEnd`: of a block
 * whose input is added to its output.
 */
function makeNetwork({ layers, weights, mean, std }) {
  const TILE = 512;  // So many pixels of eight channels fit into the fastest cache.

  /** RGB bytes, pixel after pixel, as three planes around 0. */
  function normalized(rgb) {
    const size = rgb.length / 3;
    const x = new Float32Array(rgb.length);
    for (let pixel = 0; pixel < size; pixel++) {
      for (let c = 0; c < 3; c++) {
        x[c * size + pixel] = (rgb[3 * pixel + c] / 255 - mean[c]) / std[c];
      }
    }
    return x;
  }

  /** A 1x1 convolution: the weights (to, from) times the feature maps (from, size). */
  function mixChannels(x, { from, to, weight, bias }, size) {
    const y = new Float32Array(to * size);
    for (let row = 0; row < to; row++) y.fill(weights[bias + row], row * size, (row + 1) * size);
    for (let first = 0; first < size; first += TILE) {
      const end = Math.min(first + TILE, size);
      for (let row = 0; row < to; row += 4) {
        for (let column = 0; column < from; column += 4) {
          addFour(x, y, weight + row * from + column, from, column, row, size, first, end);
        }
      }
    }
    return y;
  }

  /** Add four channels to four others, 16 weights at once: half the time of one by one. */
  function addFour(x, y, a, from, column, row, size, first, end) {
    const b = a + from, c = b + from, d = c + from;
    const a0 = weights[a], a1 = weights[a + 1], a2 = weights[a + 2], a3 = weights[a + 3];
    const b0 = weights[b], b1 = weights[b + 1], b2 = weights[b + 2], b3 = weights[b + 3];
    const c0 = weights[c], c1 = weights[c + 1], c2 = weights[c + 2], c3 = weights[c + 3];
    const d0 = weights[d], d1 = weights[d + 1], d2 = weights[d + 2], d3 = weights[d + 3];
    const x0 = column * size, x1 = x0 + size, x2 = x1 + size, x3 = x2 + size;
    const y0 = row * size, y1 = y0 + size, y2 = y1 + size, y3 = y2 + size;
    for (let p = first; p < end; p++) {
      const s = x[x0 + p], t = x[x1 + p], u = x[x2 + p], v = x[x3 + p];
      y[y0 + p] += a0 * s + a1 * t + a2 * u + a3 * v;
      y[y1 + p] += b0 * s + b1 * t + b2 * u + b3 * v;
      y[y2 + p] += c0 * s + c1 * t + c2 * u + c3 * v;
      y[y3 + p] += d0 * s + d1 * t + d2 * u + d3 * v;
    }
  }

  /** A convolution over space: of all channels (the first layer), or of each by itself. */
  function slide(x, { from, to, kernel, stride, before, side, weight, bias, isDepthwise }, width) {
    const y = new Float32Array(to * side * side);
    const padded = (side - 1) * stride + kernel;
    const plane = new Float32Array(padded * padded);
    const read = Math.min(width, padded - before);  // The stride may leave out the last ones.
    let at = weight;
    for (let channel = 0; channel < to; channel++) {
      const start = channel * side * side;
      y.fill(weights[bias + channel], start, start + side * side);
      for (let input = 0; input < (isDepthwise ? 1 : from); input++) {
        const source = (isDepthwise ? channel : input) * width * width;
        for (let row = 0; row < read; row++) {
          const line = x.subarray(source + row * width, source + row * width + read);
          plane.set(line, (row + before) * padded + before);
        }
        for (let down = 0; down < kernel; down++) {
          for (let right = 0; right < kernel; right++) {
            const factor = weights[at++];
            for (let row = 0; row < side; row++) {
              let seen = (row * stride + down) * padded + right;
              for (let p = start + row * side; p < start + (row + 1) * side; p++) {
                y[p] += factor * plane[seen];
                seen += stride;
              }
            }
          }
        }
      }
    }
    return y;
  }

  /**
   * The class activation map of every class: (1000, 7, 7), without the bias.
   *
   * `rgb` are 224x224 pixels; `onProgress` is told after each layer which share of them is done.
   */
  return function evidence(rgb, onProgress) {
    let x = normalized(rgb);
    let width = Math.sqrt(rgb.length / 3);
    let kept = null;
    layers.forEach((layer, index) => {
      if (layer.isStart) kept = x;
      x = layer.kernel === 1 ? mixChannels(x, layer, width * width) : slide(x, layer, width);
      width = layer.side;
      if (layer.relu6) for (let i = 0; i < x.length; i++) x[i] = Math.min(Math.max(x[i], 0), 6);
      if (layer.isEnd) for (let i = 0; i < x.length; i++) x[i] += kept[i];
      onProgress((index + 1) / layers.length);
    });
    return x;
  };
}

/**
 * A picture squashed to side x side RGB pixels as the notebooks do it: Pillow's bicubic resize,
 * which looks at more pixels the smaller the result is (antialiasing), and rounds after each
 * direction. Browsers have their own ways: they move logits by up to 0.8.
 *
 * `read(top, height)` gives rows of the picture as RGBA bytes, so that a large one needs no more
 * memory than it has already.
 */
async function squashed(read, width, height, side) {
  const ROWS = Math.max(1, Math.floor(1e6 / width));
  const columns = new Uint8ClampedArray(side * height * 3);
  const across = resamplingWeights(width, side), down = resamplingWeights(height, side);
  for (let top = 0; top < height; top += ROWS) {
    const rows = Math.min(ROWS, height - top);
    resampleLines(read(top, rows), 4, rows, across, columns, top, height);
    await new Promise((go) => setTimeout(go));  // The page stays usable.
  }
  const pixels = new Uint8ClampedArray(side * side * 3);
  resampleLines(columns, 3, side, down, pixels, 0, side);
  return pixels;
}

/** For each pixel of a line made `to` long: the first pixel that counts, and weights times 2**22. */
function resamplingWeights(from, to) {
  const scale = from / to, stretch = Math.max(scale, 1), reach = 2 * stretch;
  return Array.from({ length: to }, (_, pixel) => {
    const center = (pixel + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - reach + 0.5));
    const end = Math.min(from, Math.trunc(center + reach + 0.5));
    const parts = [];
    for (let at = first; at < end; at++) parts.push(bicubic((at - center + 0.5) / stretch));
    const sum = parts.reduce((total, part) => total + part, 0);
    return { first, parts: Int32Array.from(parts, (part) => Math.round(part / sum * 2 ** 22)) };
  });
}

function bicubic(x) {
  const d = Math.abs(x), A = -0.5;
  if (d < 1) return ((A + 2) * d - (A + 3)) * d * d + 1;
  return d < 2 ? (((d - 5) * d + 8) * d - 4) * A : 0;
}

/** Resample lines of RGB(A) pixels; each becomes a column of `out`, RGB, `height` pixels high. */
function resampleLines(pixels, depth, lines, weights, out, top, height) {
  const length = pixels.length / lines;
  weights.forEach(({ first, parts }, column) => {
    for (let line = 0; line < lines; line++) {
      let at = line * length + first * depth, red = 0, green = 0, blue = 0;
      for (const part of parts) {
        red += part * pixels[at];
        green += part * pixels[at + 1];
        blue += part * pixels[at + 2];
        at += depth;
      }
      const to = 3 * (column * height + top + line);
      out[to] = (red + 2 ** 21) >> 22;
      out[to + 1] = (green + 2 ** 21) >> 22;
      out[to + 2] = (blue + 2 ** 21) >> 22;
    }
  });
}
