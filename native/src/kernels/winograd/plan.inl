// How a Winograd convolution is cut up, and where its parts lie in a thread's scratch.
namespace aq::AQ_ISA {

constexpr int64_t winograd_channels = 160;                                 // of the largest block of the sum
constexpr int64_t winograd_outputs = 32;                                   // of a group
constexpr int64_t longest_strip = 132 / tile_rows * tile_rows;             // tiles
constexpr int64_t short_strip = 48;                                        // tiles
constexpr int64_t patch_tiles = 16;                                        // read at once, to stay in the cache
constexpr int64_t strip_floats = 3 * 1024 * 1024;                          // of a strip's transformed input
constexpr int most_rows = 2;                                               // of a filter's points, taken at once
constexpr int64_t filter_channels = 16;                                    // expanded at once, if no block holds more
constexpr int64_t most_kept_floats = 9 * 256 * 1024;                       // of transformed filters
constexpr int64_t group_width = round_up(winograd_outputs, tile_columns);  // outputs with those that fill a panel
static_assert(winograd_outputs % lanes == 0, "groups are whole vectors");

// One plain convolution: the whole, or one parity of an upsampling one.
struct winograd_part {
    int64_t out_h, out_w;            // its outputs
    int64_t first_y, first_x, step;  // its output (i, j) is the layer's (first_y + i * step, first_x + j * step)
    int64_t pad_top, pad_left;
};

namespace {  // so that no other object shares the constructor

template <class F> struct winograd_plan {
    static constexpr int64_t m = F::outputs, size = F::points, points = size * size;

    int64_t channels, blocks;  // channels of a block of the sum, and blocks
    int64_t pixel;             // floats from pixel to pixel of the patch
    int64_t tiles_down, tiles_across, tiles, strip;
    bool tile_by_tile;   // the points of a tile lie side by side in `a`, else the tiles of a point
    bool row_by_row;     // `u` has room for a few rows of points, and filters are taken there just before they are used
    bool keeps_filters;  // `u` has room for all groups and blocks; else for one
    int64_t tile_a, point_a, block_a, point_u, point_m;  // floats from one to the next in `a`, `u` and `products`
    float *patch;                                        // [size][pixels of the tiles][pixel]
    float *a;         // [blocks][strip][points][pixel] or [blocks][points][strip][pixel]: transformed input
    float *filters;   // [panels][channels][taps][taps][tile_columns]: expanded, of a group and a block if row by row,
                      // else of some channels of a panel
    float *u;         // [points][panels][channels][tile_columns]: the same transformed
    float *products;  // [points][strip][group_width]
    gemm_buffers weights;  // for expanding
    int64_t floats;

    winograd_plan(const gemm_args &g, const winograd_part &part, float *scratch) {
        tiles_down = (part.out_h + m - 1) / m;
        tiles_across = (part.out_w + m - 1) / m;
        tiles = g.rows / ((int64_t)g.view.out_h * g.view.out_w) * tiles_down * tiles_across;
        channels = equal_blocks(g.channels, winograd_channels, 8);
        blocks = (g.channels + channels - 1) / channels;
        pixel = round_up(channels, lanes);
        const int64_t fits = strip_floats / (points * (pixel + 16) * blocks) / tile_rows * tile_rows;
        strip = fits < 2 * tile_rows ? 2 * tile_rows : smaller(fits, longest_strip);
        strip = smaller(strip, round_up(tiles, tile_rows));

        // Tile by tile, transforms write few pages at a time, which is all that counts for short strips. Through longer
        // ones 16 lanes run so fast that rows must be asked for ahead, which takes neighbours in one stretch.
        tile_by_tile = lanes < 16 || strip < short_strip;
        tile_a = tile_by_tile ? points * pixel + 16 : pixel + 16;
        point_a = tile_by_tile ? pixel : strip * tile_a + 16;
        block_a = tile_by_tile ? strip * tile_a : points * point_a;
        // A cache line more keeps points off the same cache sets.
        point_u = group_width * channels + 16;
        point_m = strip * group_width + 16;

        const int64_t groups = (g.weights.rows + winograd_outputs - 1) / winograd_outputs;
        const int64_t kept = groups * blocks * points * point_u;
        keeps_filters = tiles > strip && kept <= most_kept_floats;
        // A few rows stay in the second cache, where all points of large transforms do not fit. Those of small ones do:
        // they are worth reading the taps again only if many tiles multiply them.
        row_by_row = !keeps_filters && (points >= 36 || strip >= short_strip);

        scratch_space space = {scratch, 0};
        patch = space.take(size * ((smaller(tiles_across, patch_tiles) - 1) * m + size) * pixel);
        a = space.take(blocks * block_a);
        filters = space.take(group_width * channels * 9);
        u = space.take(keeps_filters ? kept : (row_by_row ? most_rows * size : points) * point_u);
        products = space.take(points * point_m);
        weights = {};
        // By half a page from row to row they would fall on few cache sets.
        weights.ldrow = (g.weights.block > 1 ? channels * 9 + 2 * longest_block : filter_channels * 9) + 16;
        weights.row = space.take(tile_columns * weights.ldrow);
        weights.zeros = space.take(channels * 9);
        floats = space.used;
    }
};

}  // namespace

}  // namespace aq::AQ_ISA
