//! What is inside a package and how its bytes lie: manifest, tar and BagIt layout, segments, age header.
