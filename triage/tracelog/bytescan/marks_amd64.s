#include "textflag.h"

// MARKS32 leaves in Y10 the marks of the 32 bytes at from(SI).
#define MARKS32(from, next) \
	VMOVDQU  from(SI), Y8    \
	VMOVDQU  next(SI), Y9    \
	VPCMPEQB Y8, Y0, Y10     \
	VPCMPEQB Y8, Y1, Y11     \
	VPCMPEQB Y8, Y2, Y12     \
	VPCMPEQB Y8, Y3, Y13     \
	VPOR     Y10, Y11, Y10   \
	VPOR     Y12, Y13, Y12   \
	VPCMPEQB Y9, Y4, Y11     \
	VPOR     Y10, Y12, Y10   \
	VPAND    Y10, Y11, Y10   \
	VPCMPEQB Y8, Y5, Y11     \
	VPCMPEQB Y9, Y6, Y12     \
	VPCMPEQB Y8, Y7, Y13     \
	VPAND    Y11, Y12, Y11   \
	VPOR     Y10, Y13, Y10   \
	VPOR     Y10, Y11, Y10

// func marks(text *byte, blocks int, meant *[8]byte, out *uint64)
//
// Y0 to Y7 hold the eight bytes, each 32 times.
TEXT ·marks(SB), NOSPLIT, $0-32
	MOVQ text+0(FP), SI
	MOVQ blocks+8(FP), CX
	MOVQ meant+16(FP), R8
	MOVQ out+24(FP), DI
	VPBROADCASTB 0(R8), Y0    // "
	VPBROADCASTB 1(R8), Y1    // space
	VPBROADCASTB 2(R8), Y2    // tab
	VPBROADCASTB 3(R8), Y3    // carriage return
	VPBROADCASTB 4(R8), Y4    // :
	VPBROADCASTB 5(R8), Y5    // backslash
	VPBROADCASTB 6(R8), Y6    // u
	VPBROADCASTB 7(R8), Y7    // newline

block:
	TESTQ CX, CX
	JZ    done
	MARKS32(0, 1)
	VPMOVMSKB Y10, AX
	MARKS32(32, 33)
	VPMOVMSKB Y10, DX
	SHLQ $32, DX
	ORQ  DX, AX
	MOVQ AX, (DI)
	ADDQ $64, SI
	ADDQ $8, DI
	DECQ CX
	JMP  block

done:
	VZEROUPPER
	RET
