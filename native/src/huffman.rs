//! HPACK's Huffman code.  Source: RFC 7541, 5.2 and appendix B.
//!
//! The code is canonical: codes ascend by length, and of one length by symbol; so that the lengths tell all.

use std::sync::OnceLock;

const END: usize = 256;

/// Of each symbol's code, END's the last.
#[rustfmt::skip]
const LENGTHS: [u8; END + 1] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28,
    28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6,
    12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15,
    5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20,
    22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22,
    23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26,
    27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

/// What four bits lead to.
#[derive(Clone, Copy, Default)]
struct Step {
    next: u16,
    symbol: Option<u8>,
    broken: bool, // END, which nobody may send
    ending: bool, // what came since the last symbol is a padding: ones, and fewer than eight
}

type Table = Vec<[Step; 16]>;

/// Append what `coded` stands for; None where it is no code.
pub fn decode(coded: &[u8], out: &mut Vec<u8>) -> Option<()> {
    static TABLE: OnceLock<Table> = OnceLock::new();
    let table = TABLE.get_or_init(table);
    let mut last = Step { ending: true, ..Step::default() };
    for byte in coded {
        for bits in [byte >> 4, byte & 15] {
            last = table[usize::from(last.next)][usize::from(bits)];
            if last.broken {
                return None;
            }
            out.extend(last.symbol);
        }
    }
    last.ending.then_some(())
}

/// The steps from each inner node of the code's tree, the root first.
fn table() -> Table {
    let nodes = tree();
    let mut padding = vec![false; nodes.len()];
    let mut at = 0;
    for _ in 0..8 {
        padding[at] = true;
        at = nodes[at][1].expect("the code of END is longer than eight").min(nodes.len() - 1);
    }
    let mut steps = vec![[Step::default(); 16]; nodes.len()];
    for (node, row) in steps.iter_mut().enumerate() {
        for (bits, step) in row.iter_mut().enumerate() {
            let mut at = node;
            for shift in (0..4).rev() {
                match nodes[at][bits >> shift & 1] {
                    Some(next) if next < nodes.len() => at = next,
                    Some(leaf) => {
                        let symbol = leaf - nodes.len();
                        step.broken |= symbol == END;
                        step.symbol = Some(symbol as u8);
                        at = 0;
                    }
                    None => unreachable!("a canonical code is full"),
                }
            }
            step.next = at as u16;
            step.ending = padding[at];
        }
    }
    steps
}

/// Inner nodes; what a bit leads to is another, or a symbol, counted on from their number.
fn tree() -> Vec<[Option<usize>; 2]> {
    let inner = END; // of a full tree with one more leaf
    let mut symbols: Vec<usize> = (0..=END).collect();
    symbols.sort_by_key(|&symbol| (LENGTHS[symbol], symbol));
    let (mut nodes, mut code, mut length) = (vec![[None; 2]], 0u32, 0);
    for symbol in symbols {
        code <<= LENGTHS[symbol] - length;
        length = LENGTHS[symbol];
        let mut at = 0;
        for shift in (1..length).rev() {
            let bit = (code >> shift & 1) as usize;
            if nodes[at][bit].is_none() {
                nodes[at][bit] = Some(nodes.len());
                nodes.push([None; 2]);
            }
            at = nodes[at][bit].expect("just made");
        }
        nodes[at][(code & 1) as usize] = Some(inner + symbol);
        code += 1;
    }
    assert_eq!(nodes.len(), inner);
    nodes
}
